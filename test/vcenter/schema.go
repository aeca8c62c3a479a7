package main

import (
	"bufio"
	"encoding/json"
	"io"
)

type described struct {
	Extends  string    `json:"extends,omitempty"`
	Elements []element `json:"elements"`
}

// Reads names of types and methods, one a line; writes what they are, as JSON by name.
func printSchema(in io.Reader, out io.Writer) {
	found := map[string]described{}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if t, ok := typeNamed(lines.Text()); ok {
			base, own := ownElements(t)
			one := described{Elements: own}
			if base != nil {
				one.Extends = base.Name()
			}
			found[lines.Text()] = one
		}
	}
	_ = json.NewEncoder(out).Encode(found)
}
