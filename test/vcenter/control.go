package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// What shall happen to the next call of a method.
type trouble struct {
	Method string `json:"method"`
	// "fault": it fails so. "cut-before", "cut-after": the connection ends before or after it is done. "answer": Body comes back.
	Act         string          `json:"act"`
	Fault       string          `json:"fault"`
	Fields      json.RawMessage `json:"fields"`
	ContentType string          `json:"contentType"`
	Body        []byte          `json:"body"`
}

type controls struct {
	model   *simulator.Model
	next    http.Handler
	lock    sync.Mutex
	waiting []trouble
	seen    map[string]bool // session cookies
	ended   map[string]bool
	calls   map[string]int
	last    map[string]string // what came last, by method
}

// POST /control/trouble arranges for trouble, DELETE /control/sessions ends all sessions, GET /control/calls counts calls,
// GET /control/copied bytes that the model of disks has copied, GET /control/last?method=METHOD is what was sent to it last.
func control(model *simulator.Model, next http.Handler) http.Handler {
	c := &controls{model: model, next: next, seen: map[string]bool{}, ended: map[string]bool{}, calls: map[string]int{}, last: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /control/trouble", c.arrange)
	mux.HandleFunc("DELETE /control/sessions", c.endSessions)
	mux.HandleFunc("GET /control/calls", c.count)
	mux.HandleFunc("GET /control/copied", tellCopied)
	mux.HandleFunc("GET /control/last", c.sentLast)
	mux.HandleFunc("/", c.serve)
	return mux
}

func (c *controls) arrange(w http.ResponseWriter, r *http.Request) {
	var one trouble
	if err := json.NewDecoder(r.Body).Decode(&one); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if one.Act != "fault" {
		c.lock.Lock()
		c.waiting = append(c.waiting, one)
		c.lock.Unlock()
		return
	}
	fault, err := one.fault()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.model.Service.AddFaultRule(&simulator.FaultInjectionRule{
		MethodName: one.Method, ObjectType: "*", ObjectName: "*",
		Probability: 1, MaxCount: 1, Enabled: true, FaultType: simulator.FaultTypeCustom, Fault: fault, Message: "arranged",
	})
}

func (t trouble) fault() (types.BaseMethodFault, error) {
	kind, ok := typeNamed(t.Fault)
	if !ok {
		return nil, fmt.Errorf("no fault %q", t.Fault)
	}
	value := reflect.New(kind)
	if len(t.Fields) > 0 {
		if err := json.Unmarshal(t.Fields, value.Interface()); err != nil {
			return nil, err
		}
	}
	return value.Interface().(types.BaseMethodFault), nil
}

func (c *controls) endSessions(http.ResponseWriter, *http.Request) {
	c.lock.Lock()
	defer c.lock.Unlock()
	for each := range c.seen {
		c.ended[each] = true
	}
}

func (c *controls) count(w http.ResponseWriter, _ *http.Request) {
	c.lock.Lock()
	defer c.lock.Unlock()
	_ = json.NewEncoder(w).Encode(c.calls)
}

func (c *controls) sentLast(w http.ResponseWriter, r *http.Request) {
	c.lock.Lock()
	defer c.lock.Unlock()
	_, _ = io.WriteString(w, c.last[r.URL.Query().Get("method")])
}

func (c *controls) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	c.dropEndedSession(r)
	one := c.take(string(body))
	switch one.Act {
	case "cut-before":
		cut(w)
	case "cut-after":
		c.next.ServeHTTP(httptest.NewRecorder(), r)
		cut(w)
	case "answer":
		w.Header().Set("Content-Type", one.ContentType)
		_, _ = w.Write(one.Body)
	default:
		c.next.ServeHTTP(w, r)
	}
}

// The trouble that waits for the method called by the body, if any; counts the call.
func (c *controls) take(body string) trouble {
	_, call, _ := strings.Cut(body, "Body><")
	method, _, _ := strings.Cut(call, " ")
	c.lock.Lock()
	defer c.lock.Unlock()
	c.calls[method]++
	c.last[method] = body
	for i, each := range c.waiting {
		if each.Method == method {
			c.waiting = append(c.waiting[:i], c.waiting[i+1:]...)
			return each
		}
	}
	return trouble{}
}

func (c *controls) dropEndedSession(r *http.Request) {
	cookie, err := r.Cookie("vmware_soap_session")
	if err != nil {
		return
	}
	c.lock.Lock()
	defer c.lock.Unlock()
	c.seen[cookie.Value] = true
	if c.ended[cookie.Value] {
		r.Header.Del("Cookie")
	}
}

func cut(w http.ResponseWriter) {
	connection, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = connection.Close()
	}
}
