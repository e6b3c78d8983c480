// Command go-cloudstack makes one call with the Go library for CloudStack, which signs with the given keys:
//
//	go-cloudstack URL API-KEY SECRET-KEY users|keyword VALUE|deploy NAME
//
// It prints what came back, or the error on standard error with exit status 1.
package main

import (
	"fmt"
	"os"

	"github.com/xanzy/go-cloudstack/v2/cloudstack"
)

func run(cloud *cloudstack.CloudStackClient, words []string) (string, error) {
	switch words[0] {
	case "users":
		answer, err := cloud.User.ListUsers(cloud.User.NewListUsersParams())
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("users: %d, first: %s", answer.Count, answer.Users[0].Username), nil
	case "keyword":
		parameters := cloud.VirtualMachine.NewListVirtualMachinesParams()
		parameters.SetKeyword(words[1])
		answer, err := cloud.VirtualMachine.ListVirtualMachines(parameters)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("machines: %d", answer.Count), nil
	case "deploy":
		parameters := cloud.VirtualMachine.NewDeployVirtualMachineParams("offering", "template", "zone")
		parameters.SetName(words[1])
		// An asynchronous call: the library polls the job to its end.
		answer, err := cloud.VirtualMachine.DeployVirtualMachine(parameters)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("deployed: %t", answer.Id != ""), nil
	}
	return "", fmt.Errorf("unknown call %q", words[0])
}

func main() {
	if len(os.Args) < 5 {
		fmt.Fprintln(os.Stderr, "usage: go-cloudstack URL API-KEY SECRET-KEY CALL [VALUE]")
		os.Exit(2)
	}
	cloud := cloudstack.NewAsyncClient(os.Args[1], os.Args[2], os.Args[3], true)
	said, err := run(cloud, os.Args[4:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(said)
}
