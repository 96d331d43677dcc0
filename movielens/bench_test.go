package movielens_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"movieexample.com/movielens"
)

// benchSet is a generated data set, so that the benchmarks need no download.
func benchSet(b *testing.B, name string) (file []byte, rows int) {
	b.Helper()
	dir := b.TempDir()
	if _, err := movielens.Generate(b.Context(), dir, movielens.GenerateOptions{Users: 610, Ratings: 100_000, Movies: 10_000, Seed: 1}); err != nil {
		b.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	return file, bytes.Count(file, []byte("\n")) - 1
}

func rowRate(b *testing.B, rows int) {
	b.Helper()
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkReadRatings(b *testing.B) {
	file, rows := benchSet(b, "ratings.csv")
	for b.Loop() {
		for _, err := range movielens.ReadRatings(b.Context(), "ratings.csv", bytes.NewReader(file)) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	rowRate(b, rows)
}

func BenchmarkReadMovies(b *testing.B) {
	file, rows := benchSet(b, "movies.csv")
	for b.Loop() {
		for _, err := range movielens.ReadMovies(b.Context(), "movies.csv", bytes.NewReader(file)) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	rowRate(b, rows)
}

func BenchmarkGenerate(b *testing.B) {
	o := movielens.GenerateOptions{Users: 6100, Ratings: 1_000_000, Seed: 1, Overwrite: true}
	dir := b.TempDir()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := movielens.Generate(b.Context(), dir, o); err != nil {
			b.Fatal(err)
		}
	}
	rowRate(b, o.Ratings)
}

func BenchmarkSynthetic(b *testing.B) {
	films := demoFilms()
	b.ReportAllocs()
	for b.Loop() {
		stream, err := movielens.Synthetic(1, 2500, 100_000, films, demoEnd)
		if err != nil {
			b.Fatal(err)
		}
		for range stream {
		}
	}
	rowRate(b, 100_000)
}
