// Command gen completes the OpenAPI document that protoc-gen-openapiv3 makes of the protos, and renders the reference page of it.
//
// The plugin knows paths, methods, types and comments. It does not know what the gateway does with every request and answer:
// problems instead of google.rpc.Status, headers, conditions, limits of values, examples. What derives from the protos or is the
// same for all operations is made here; everything else is written in supplement.yaml, whose "document" becomes a part of the result
// unchanged (docs/adr/029). An operation or a property in the supplement that the protos do not have is an error.
//
//	gen -skeleton merged.openapi.json -descriptors api.binpb -out openapi.json -page docs.html
package main

import (
	_ "embed" // for the supplement
	"flag"
	"fmt"
	"os"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
)

//go:embed supplement.yaml
var supplementYAML []byte

func main() {
	skeleton := flag.String("skeleton", "", "`file` with what protoc-gen-openapiv3 and openapiv3-merge made")
	descriptors := flag.String("descriptors", "", "`file` with the descriptors of the protos, as buf build writes it")
	out := flag.String("out", "", "`file` for the document")
	page := flag.String("page", "", "`file` for the reference page")
	flag.Parse()
	if err := run(*skeleton, *descriptors, *out, *page); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(skeletonFile, descriptorFile, out, page string) error {
	text, err := os.ReadFile(skeletonFile)
	if err != nil {
		return err
	}
	c := &completion{}
	if c.skeleton, err = parse(text); err != nil {
		return fmt.Errorf("read %s: %w", skeletonFile, err)
	}
	if c.supplement, err = parse(supplementYAML); err != nil {
		return fmt.Errorf("read supplement.yaml: %w", err)
	}
	if text, err = os.ReadFile(descriptorFile); err != nil {
		return err
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(text, &set); err != nil {
		return fmt.Errorf("read %s: %w", descriptorFile, err)
	}
	if c.files, err = protodesc.NewFiles(&set); err != nil {
		return fmt.Errorf("read %s: %w", descriptorFile, err)
	}
	doc, err := c.document()
	if err != nil {
		return err
	}
	if text, err = indented(doc); err != nil {
		return err
	}
	if err := os.WriteFile(out, text, 0o644); err != nil {
		return err
	}
	html, err := renderPage(doc, c.supplement.object("words"))
	if err != nil {
		return fmt.Errorf("render the page: %w", err)
	}
	return os.WriteFile(page, html, 0o644)
}
