// Command cloudstack-go lists the users of a CloudStack account.
//
// It holds no key and signs nothing: countersign does.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

type answer struct {
	Response struct {
		Count     int    `json:"count"`
		ErrorCode int    `json:"errorcode"`
		ErrorText string `json:"errortext"`
		Users     []struct {
			ID       string `json:"id"`
			Username string `json:"username"`
			Account  string `json:"account"`
		} `json:"user"`
	} `json:"listusersresponse"`
}

func listUsers(endpoint string) (*answer, error) {
	parameters := url.Values{"command": {"listUsers"}, "response": {"json"}}
	caller := &http.Client{Timeout: 30 * time.Second}
	reply, err := caller.Get(endpoint + "/client/api?" + parameters.Encode())
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	var users answer
	if err := json.NewDecoder(reply.Body).Decode(&users); err != nil {
		return nil, fmt.Errorf("HTTP %d: %w", reply.StatusCode, err)
	}
	if users.Response.ErrorCode != 0 {
		return nil, fmt.Errorf("error %d: %s", users.Response.ErrorCode, users.Response.ErrorText)
	}
	if reply.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP %d", reply.StatusCode)
	}
	return &users, nil
}

func main() {
	endpoint := os.Getenv("COUNTERSIGN_ENDPOINT")
	if endpoint == "" {
		endpoint = "http://127.0.0.1:8480"
	}
	users, err := listUsers(strings.TrimRight(endpoint, "/"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "listUsers:", err)
		os.Exit(1)
	}
	fmt.Println("users:", users.Response.Count)
	for _, user := range users.Response.Users {
		fmt.Println(user.ID, user.Username, user.Account)
	}
}
