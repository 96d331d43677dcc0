package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"movieexample.com/client/formats"
)

// addFormatFlag adds --format, the format of a file of ours. It stays empty if it is not given.
func addFormatFlag(cmd *cobra.Command, format *string) {
	addChoice(cmd, format, "format", "", "FORMAT", "format of the file: csv or jsonl; without it, the file's name gives the format",
		string(formats.CSV), string(formats.JSONL))
}

// formatOf returns the format of a file to read: the one given, that of its name, or that of its first character.
func formatOf(given, file string, r io.Reader) (formats.Format, io.Reader, error) {
	if given != "" {
		return formats.Format(given), r, nil
	}
	if named, ok := formats.Named(file); ok {
		return named, r, nil
	}
	format, r, err := formats.Sniff(r)
	if err != nil {
		return "", nil, fmt.Errorf("read %s: %w", file, err)
	}
	return format, r, nil
}

// completeDataFile makes shells complete files in our formats.
func completeDataFile(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []string{"csv", "jsonl", "json"}, cobra.ShellCompDirectiveFilterFileExt
}
