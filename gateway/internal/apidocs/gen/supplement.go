package main

import (
	"bytes"
	_ "embed" // for the supplement
	"fmt"

	"go.yaml.in/yaml/v3"
)

//go:embed supplement.yaml
var supplementYAML []byte

// supplement is what the document says beyond the protos; supplement.yaml says what each part is.
type supplement struct {
	Info       infoText                  `yaml:"info"`
	Tags       []tagText                 `yaml:"tags"`
	Names      map[string]string         `yaml:"names"`
	Always     []string                  `yaml:"always"`
	Inputs     map[string]input          `yaml:"inputs"`
	Types      map[string]map[string]any `yaml:"types"`
	Words      map[string]string         `yaml:"words"`
	Properties map[string]map[string]any `yaml:"properties"`
	Parameters map[string]map[string]any `yaml:"parameters"`
	Errors     map[string]errorText      `yaml:"errors"`
	Operations map[string]operation      `yaml:"operations"`
}

type infoText struct {
	Title       string            `yaml:"title"`
	Version     string            `yaml:"version"`
	Summary     string            `yaml:"summary"`
	License     map[string]string `yaml:"license"`
	Description string            `yaml:"description"`
}

type tagText struct {
	Name        string `yaml:"name"`
	Description string `yaml:"description"`
}

// input is a type as it is sent.
type input struct {
	Name     string   `yaml:"name"`
	Without  []string `yaml:"without"`
	Required []string `yaml:"required"`
	// Path names what the path says already; the body may repeat it.
	Path        []string `yaml:"path"`
	Description string   `yaml:"description"` // "" takes the one of the type
}

type errorText struct {
	Name        string `yaml:"name"`
	Description string `yaml:"description"`
}

type operation struct {
	Tag     string  `yaml:"tag"`
	Summary string  `yaml:"summary"`
	Answer  string  `yaml:"answer"`
	ETag    bool    `yaml:"etag"`
	Match   bool    `yaml:"match"`
	Create  bool    `yaml:"create"`
	List    bool    `yaml:"list"`
	Fields  string  `yaml:"fields"`
	Example request `yaml:"example"`
}

// request is the request of an example; GET where no method is given.
type request struct {
	Method string         `yaml:"method"`
	Path   string         `yaml:"path"`
	Body   map[string]any `yaml:"body"`
}

func readSupplement() (*supplement, error) {
	s := &supplement{}
	dec := yaml.NewDecoder(bytes.NewReader(supplementYAML))
	dec.KnownFields(true)
	if err := dec.Decode(s); err != nil {
		return nil, fmt.Errorf("read supplement.yaml: %w", err)
	}
	return s, nil
}
