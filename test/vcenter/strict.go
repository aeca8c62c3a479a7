package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"html"
	"io"
	"net/http"
	"reflect"
	"strings"
)

const xsi = "http://www.w3.org/2001/XMLSchema-instance"

type node struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []node     `xml:",any"`
}

// A vCenter refuses elements that are unknown, missing or out of order; vcsim takes them as they come.
func strict(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/sdk" {
			body, err := io.ReadAll(r.Body)
			if err == nil {
				err = checkRequest(body)
			}
			if err != nil {
				refuse(w, err)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		next.ServeHTTP(w, r)
	})
}

func checkRequest(body []byte) error {
	var envelope struct {
		Body struct {
			Call []node `xml:",any"`
		} `xml:"http://schemas.xmlsoap.org/soap/envelope/ Body"`
	}
	if err := xml.Unmarshal(body, &envelope); err != nil {
		return err
	}
	if len(envelope.Body.Call) != 1 {
		return fmt.Errorf("%d calls in one body", len(envelope.Body.Call))
	}
	call := envelope.Body.Call[0]
	if call.XMLName.Space != "urn:vim25" {
		return fmt.Errorf("%s is of the namespace %q", call.XMLName.Local, call.XMLName.Space)
	}
	method, ok := typeNamed(call.XMLName.Local)
	if !ok {
		return fmt.Errorf("no method %s", call.XMLName.Local)
	}
	return check(call, method, call.XMLName.Local)
}

func check(n node, t reflect.Type, path string) error {
	if name := typeAttribute(n); name != "" {
		named, ok := typeNamed(name)
		if t.Kind() == reflect.Interface && strings.Contains(name, ":") {
			return nil // xsd:string and its like
		}
		if !ok {
			return fmt.Errorf("%s: no type %s", path, name)
		}
		t = named
	} else if t.Kind() == reflect.Interface {
		return fmt.Errorf("%s: xsi:type is missing", path)
	}
	if t.Kind() != reflect.Struct || vimName(t) == "ref" || vimName(t) == "dateTime" {
		if len(n.Children) > 0 {
			return fmt.Errorf("%s is a value, and has elements", path)
		}
		return nil
	}
	return checkOrder(n.Children, allElements(t), path)
}

func checkOrder(children []node, elements []element, path string) error {
	at := 0
	for _, each := range elements {
		count := 0
		for at < len(children) && children[at].XMLName.Local == each.Name {
			if err := check(children[at], each.goType, path+"."+each.Name); err != nil {
				return err
			}
			at++
			count++
		}
		if count > 1 && !each.List {
			return fmt.Errorf("%s.%s stands %d times", path, each.Name, count)
		}
		if count == 0 && !each.Optional && !each.List {
			return fmt.Errorf("%s.%s is missing", path, each.Name)
		}
	}
	if at < len(children) {
		return fmt.Errorf("%s.%s is unknown or out of order", path, children[at].XMLName.Local)
	}
	return nil
}

func typeAttribute(n node) string {
	for _, each := range n.Attrs {
		if each.Name.Space == xsi && each.Name.Local == "type" {
			return each.Value
		}
	}
	return ""
}

func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(http.StatusInternalServerError)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="%s"><soapenv:Body><soapenv:Fault>
<faultcode>ServerFaultCode</faultcode><faultstring>%s</faultstring>
<detail><InvalidRequestFault xmlns="urn:vim25" xsi:type="InvalidRequest"/></detail>
</soapenv:Fault></soapenv:Body></soapenv:Envelope>`, xsi, html.EscapeString("schema: "+err.Error()))
}
