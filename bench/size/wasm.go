package main

import (
	"encoding/binary"
	"errors"
)

// moduleFile is what a module in the binary format consists of, in bytes.
type moduleFile struct {
	size, code, data, names int
	contents, segments      int // of the data
	pages                   int // of the memory, at first
	functions               []function
}

type function struct {
	name string
	size int
}

// Sections of the binary format, and kinds of imports.
const (
	sectionCustom = 0
	sectionImport = 2
	sectionMemory = 5
	sectionCode   = 10
	sectionData   = 11

	importFunction = 0
)

// errCut is a module that ends in the middle, or has what Go's linker does not
// make.
var errCut = errors.New("this is no module as Go's linker makes it")

// read takes a module apart.
func read(wasm []byte) (m *moduleFile, err error) {
	defer func() {
		if recover() != nil { // an index beyond the end
			m, err = nil, errCut
		}
	}()
	m = &moduleFile{size: len(wasm)}
	r := reader(wasm[8:]) // behind magic number and version
	imported := 0
	var sizes []int
	names := map[int]string{}
	for len(r) > 0 {
		id := r.byte()
		n := r.number()
		section := reader(r.take(n))
		switch id {
		case sectionImport:
			for range section.number() {
				section.text()
				section.text()
				if section.byte() != importFunction {
					return nil, errCut
				}
				section.number()
				imported++
			}
		case sectionMemory:
			section.number()
			section.byte()
			m.pages = section.number()
		case sectionCode:
			m.code = n
			for range section.number() {
				size := section.number()
				section.take(size)
				sizes = append(sizes, size)
			}
		case sectionData:
			m.data = n
			m.segments = section.number()
			for range m.segments {
				section.byte() // its kind
				section.byte() // i32.const
				section.number()
				section.byte() // end
				size := section.number()
				section.take(size)
				m.contents += size
			}
		case sectionCustom:
			if section.text() == "name" {
				m.names = n
				section.functionNames(names)
			}
		}
	}
	for i, size := range sizes {
		m.functions = append(m.functions, function{names[imported+i], size})
	}
	if len(m.functions) == 0 || m.names == 0 {
		return nil, errCut
	}
	return m, nil
}

type reader []byte

func (r *reader) take(n int) []byte {
	taken := (*r)[:n]
	*r = (*r)[n:]
	return taken
}

func (r *reader) byte() byte { return r.take(1)[0] }

// number reads an integer in LEB128; signed ones are only skipped, which needs no
// sign.
func (r *reader) number() int {
	value, n := binary.Uvarint(*r)
	r.take(n)
	return int(value)
}

func (r *reader) text() string { return string(r.take(r.number())) }

// functionNames reads the names of functions from the section of names.
func (r *reader) functionNames(names map[int]string) {
	const ofFunctions = 1
	for len(*r) > 0 {
		kind := r.byte()
		part := reader(r.take(r.number()))
		if kind != ofFunctions {
			continue
		}
		for range part.number() {
			i := part.number()
			names[i] = part.text()
		}
	}
}
