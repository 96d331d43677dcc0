// Package search owns how films are found: what matches a query, in which order, with which
// counts, and which films are like one another. Its front door is an [Index], which lives in memory.
package search
