// A machine's life, and every list, by Apache's Go SDK, whose structs say of each field whether it is a number, a text or a flag. An
// answer of another type is an error there, and so in the Terraform provider, which is built on it.
//
//	gosdk URL APIKEY SECRETKEY ZONE OFFERING TEMPLATE COMMAND... prints one JSON document; the commands are the lists to try
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/apache/cloudstack-go/v2/cloudstack"
)

func main() {
	url, apikey, secret, zone, offering, template := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6]
	client := cloudstack.NewAsyncClient(url, apikey, secret, true)
	lives, err := live(client.VirtualMachine, zone, offering, template, func() map[string]string {
		return lists(client, os.Args[7:])
	})
	if err != nil {
		lives["error"] = err.Error()
	}
	json.NewEncoder(os.Stdout).Encode(lives)
}

// live deploys, stops, starts and destroys; it looks at the lists while there is something to see.
func live(vms cloudstack.VirtualMachineServiceIface, zone, offering, template string, look func() map[string]string) (map[string]any, error) {
	told := map[string]any{}
	deploy := vms.NewDeployVirtualMachineParams(offering, template, zone)
	deploy.SetName("by-go")
	machine, err := vms.DeployVirtualMachine(deploy)
	if err != nil {
		return told, err
	}
	told["deployed"] = []any{machine.Name, machine.State, machine.Cpunumber, machine.Memory, machine.Nic[0].Deviceid}
	told["lists"] = look()
	stop := vms.NewStopVirtualMachineParams(machine.Id)
	stop.SetForced(true)
	stopped, err := vms.StopVirtualMachine(stop)
	if err != nil {
		return told, err
	}
	told["stopped"] = stopped.State
	started, err := vms.StartVirtualMachine(vms.NewStartVirtualMachineParams(machine.Id))
	if err != nil {
		return told, err
	}
	told["started"] = started.State
	_, err = vms.StartVirtualMachine(vms.NewStartVirtualMachineParams(machine.Id))
	told["refused"] = fmt.Sprint(err)
	destroy := vms.NewDestroyVirtualMachineParams(machine.Id)
	destroy.SetExpunge(true)
	_, err = vms.DestroyVirtualMachine(destroy)
	return told, err
}

// lists calls those of the SDK's methods that are among `commands`, and says how each went.
func lists(client *cloudstack.CloudStackClient, commands []string) map[string]string {
	went := map[string]string{}
	services := reflect.ValueOf(client).Elem()
	for i := range services.NumField() {
		service := services.Field(i)
		if service.Kind() != reflect.Interface || !services.Type().Field(i).IsExported() || service.IsNil() {
			continue
		}
		for _, command := range commands {
			name := strings.ToUpper(command[:1]) + command[1:]
			method, params := service.MethodByName(name), service.MethodByName("New"+name+"Params")
			if method.IsValid() && params.IsValid() {
				went[command] = call(method, params)
			}
		}
	}
	return went
}

func call(method, params reflect.Value) string {
	asked := make([]reflect.Value, params.Type().NumIn())
	for i := range asked {
		asked[i] = reflect.ValueOf("all") // only listTemplates asks for something: its filter
	}
	answer := method.Call([]reflect.Value{params.Call(asked)[0]})
	if err, failed := answer[1].Interface().(error); failed {
		return err.Error()
	}
	count := answer[0].Elem().FieldByName("Count")
	if !count.IsValid() {
		return "one object"
	}
	return fmt.Sprint(count.Int())
}
