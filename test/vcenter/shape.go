package main

import (
	"reflect"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

// One element of a type, as govmomi's generated code has it from VMware's schema.
type element struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Optional bool   `json:"optional"`
	List     bool   `json:"list"`
	goType   reflect.Type
}

// Own elements of a struct, and the struct that it extends.
func ownElements(t reflect.Type) (base reflect.Type, elements []element) {
	for i := 0; i < t.NumField(); i++ {
		field := t.Field(i)
		if field.Anonymous {
			if field.Name != "DynamicData" {
				base = field.Type
			}
			continue
		}
		name, options, _ := strings.Cut(field.Tag.Get("xml"), ",")
		if name == "" || name == "-" || strings.Contains(options, "attr") && !strings.Contains(options, "typeattr") {
			continue
		}
		elements = append(elements, toElement(name, options, field.Type))
	}
	return base, elements
}

func toElement(name, options string, t reflect.Type) element {
	one := element{Name: name, Optional: strings.Contains(options, "omitempty")}
	if t.Kind() == reflect.Pointer {
		one.Optional = true // so optional booleans are told from false
		t = t.Elem()
	}
	if t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8 {
		one.List = true
		t = t.Elem()
		if strings.HasPrefix(t.Name(), "ArrayOf") || t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
	}
	one.goType = t
	one.Type = vimName(t)
	return one
}

// All elements in the order of the wire: those of the base type first.
func allElements(t reflect.Type) []element {
	base, own := ownElements(t)
	if base == nil {
		return own
	}
	return append(allElements(base), own...)
}

func vimName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.Int8:
		return "byte"
	case reflect.Int16:
		return "short"
	case reflect.Int32:
		return "int"
	case reflect.Int64:
		return "long"
	case reflect.Float32, reflect.Float64:
		return "double"
	case reflect.Slice:
		return "base64"
	case reflect.String:
		return "string" // enumerations too
	case reflect.Interface:
		if t.Name() == "AnyType" {
			return "any"
		}
		return strings.TrimPrefix(t.Name(), "Base")
	}
	switch t.Name() {
	case "ManagedObjectReference":
		return "ref"
	case "Time":
		return "dateTime"
	}
	return t.Name()
}

func typeNamed(name string) (reflect.Type, bool) {
	t, ok := types.TypeFunc()(name)
	if ok && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t, ok
}
