// Command words finds words that read as translated, in code, messages, documentation and tests, and says what to write
// instead; and lines of Markdown that are too long. `make words` runs it.
//
// words.txt has the words, allowed.txt the uses that are right. Generated files, data and the texts of others are not read.
package main
