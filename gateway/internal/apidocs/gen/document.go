package main

import (
	"fmt"
	"slices"
	"strings"
)

// document returns the whole document: what is generated is merged into what is written by hand.
func (c *completion) document() (*object, error) {
	doc := obj("openapi", c.skeleton.text("openapi"))
	merge(doc, c.supplement.object("document"))
	c.used, c.responses, c.schemas = map[string]bool{}, map[string]string{}, obj()
	responses := doc.object("components", "responses")
	for _, name := range responses.keys {
		status := fmt.Sprint(get[any](responses, name, "content", "application/problem+json", "example", "status"))
		c.responses[status] = name
	}
	if err := c.makeSchemas(); err != nil {
		return nil, err
	}
	paths, err := c.paths()
	if err != nil {
		return nil, err
	}
	if err := c.inputSchemas(); err != nil {
		return nil, err
	}
	merge(c.schemas, c.supplement.object("types"))
	merge(doc, obj("paths", paths, "components", obj("schemas", c.schemas)))
	slices.Sort(doc.object("components", "schemas").keys)
	return doc, c.unused()
}

// unused complains about what the supplement says of things that are not there.
func (c *completion) unused() error {
	var left []string
	for _, section := range c.supplement.keys {
		if section == "document" || section == "fields" {
			continue
		}
		for _, key := range c.supplement.object(section).keys {
			if name := section + " " + key; !c.used[name] {
				left = append(left, name)
			}
		}
	}
	if len(left) > 0 {
		slices.Sort(left)
		return fmt.Errorf("supplement.yaml describes what the protos do not have: %s", strings.Join(left, ", "))
	}
	return nil
}
