// A vCenter to test against: vcsim, the simulator of github.com/vmware/govmomi, over TLS. What is ours is kept apart:
//
//	strict.go   refuses requests that the published schema does not allow, as a vCenter does and vcsim does not
//	extension.go  adds what vcsim lacks, unless -plain is given: see there
//	control.go  lets a test bring faults and end sessions
//	schema.go   prints the schema of govmomi's types, which our tables are compared with
//
// It prints one line of JSON when it listens, and ends when its standard input does.
package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
)

func main() {
	version := flag.String("api-version", "8.0.3.0", "version of the API that is spoken")
	user := flag.String("username", "operator", "the only user")
	password := flag.String("password", "", "and the password")
	machines := flag.Int("machines", 2, "virtual machines of each resource pool")
	hosts := flag.Int("hosts", 3, "hosts of the cluster")
	plain := flag.Bool("plain", false, "vcsim as it is, without our extension")
	listen := flag.String("listen", "127.0.0.1:0", "address to listen at")
	identity := flag.String("identity", "", "file that keeps the certificate and its key; made where it is not there")
	delay := flag.Int("task-delay", 0, "milliseconds that each task takes at least")
	describe := flag.Bool("schema", false, "print the types whose names stand on standard input, and end")
	flag.Parse()
	log.SetOutput(io.Discard) // the simulator's own chatter

	if *describe {
		printSchema(os.Stdin, os.Stdout)
		return
	}
	model := simulator.VPX()
	model.Machine = *machines
	model.ClusterHost = *hosts
	model.Host = 0
	defer model.Remove()
	if err := model.Create(); err != nil {
		fail(err)
	}
	model.Service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword(*user, *password)}
	setVersion(model, *version)
	if *delay > 0 { // after the model is made, or that would take as long
		simulator.TaskDelay = delayed(*delay, *plain)
	}
	tellUplinks(model)
	if !*plain {
		extend(model)
	}
	unused := model.Service.NewServer() // it adds its handlers to the multiplexer, which we serve ourselves
	defer unused.Close()

	certificate, thumbprint := identityIn(*identity)
	listener, err := tls.Listen("tcp", *listen, &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		fail(err)
	}
	server := &http.Server{Handler: control(model, strict(model.Service.ServeMux)), ErrorLog: log.Default()}
	go server.Serve(listener)
	_ = json.NewEncoder(os.Stdout).Encode(map[string]string{
		"url":        "https://" + listener.Addr().String() + "/sdk",
		"thumbprint": thumbprint,
	})
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func setVersion(model *simulator.Model, version string) {
	instance := model.Map().Get(vim25.ServiceInstance)
	instance.(*simulator.ServiceInstance).Content.About.ApiVersion = version
}
