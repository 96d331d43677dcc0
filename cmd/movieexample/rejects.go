package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
)

// shownRejects is how many rejected rows are listed on standard error.
const shownRejects = 100

// rejectList lists rejected rows: the first on standard error, all of them in a file if the user wants one.
type rejectList struct {
	word    string // begins each line: "rejected"
	hint    string // where to see those that are not listed; empty: in a file, if one is given
	println func(string)
	file    *os.File
	w       *bufio.Writer
	n       int64
}

func newRejectList(word, path string) (*rejectList, error) {
	l := &rejectList{word: word}
	if path == "" {
		return l, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, usagef("--rejects: %w", err)
	}
	l.file, l.w = file, bufio.NewWriter(file)
	return l, nil
}

// newNoteList lists notes: rows that went in with a change.
func newNoteList(println func(string)) *rejectList {
	return &rejectList{word: "note", hint: "a file with fewer of them shows all", println: println}
}

// add takes a row.
func (l *rejectList) add(row string) {
	if l.n++; l.n <= shownRejects {
		l.println(l.word + ": " + row)
	}
	if l.w != nil {
		fmt.Fprintln(l.w, row) // close reports a failure
	}
}

// summarize says how many rows were not listed.
func (l *rejectList) summarize() {
	more := l.n - shownRejects
	if more <= 0 {
		return
	}
	where := "--rejects FILE writes all of them to a file"
	if l.hint != "" {
		where = l.hint
	}
	if l.file != nil {
		where = "all of them are in " + l.file.Name()
	}
	l.println(fmt.Sprintf("%s: … and %s more; %s", l.word, grouped(more), where))
}

func (l *rejectList) close() error {
	if l.file == nil {
		return nil
	}
	if err := errors.Join(l.w.Flush(), l.file.Close()); err != nil {
		return fmt.Errorf("--rejects: %w", err)
	}
	return nil
}
