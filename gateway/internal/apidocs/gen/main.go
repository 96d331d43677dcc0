// Command gen completes the OpenAPI document that protoc-gen-openapiv3 makes of the protos, and renders the reference page of it.
//
// The plugin knows paths, methods, types and comments. It knows nothing of what the gateway does to every request and answer:
// problems instead of google.rpc.Status, headers, conditions, what is always in an answer, limits of values, examples. Those
// come from three places, each the one place for it: error answers from the lines "NOT_FOUND: …" in the comments of the protos,
// whatever is regular from code here, the rest from supplement.yaml and examples/. What no longer fits together, an operation or a
// property that the protos do not have, is an error.
//
//	gen -skeleton merged.openapi.json -descriptors api.binpb -out openapi.json -page docs.html
package main

import (
	"flag"
	"fmt"
	"os"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

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
	v, err := parse(text)
	if err != nil {
		return fmt.Errorf("read %s: %w", skeletonFile, err)
	}
	skeleton, ok := v.(*object)
	if !ok {
		return fmt.Errorf("%s is not an OpenAPI document", skeletonFile)
	}
	files, err := readDescriptors(descriptorFile)
	if err != nil {
		return err
	}
	s, err := readSupplement()
	if err != nil {
		return err
	}
	c := &completion{supplement: s, files: files, skeleton: skeleton}
	doc, err := c.document()
	if err != nil {
		return err
	}
	text, err = indented(doc)
	if err != nil {
		return err
	}
	if err := os.WriteFile(out, text, 0o644); err != nil {
		return err
	}
	html, err := renderPage(doc, s.Words)
	if err != nil {
		return fmt.Errorf("render the page: %w", err)
	}
	return os.WriteFile(page, html, 0o644)
}

func readDescriptors(file string) (*protoregistry.Files, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return files, nil
}
