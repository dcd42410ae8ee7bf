// An OpenID provider for tests: mockoidc, which is a library, as a program.
//
// It prints its issuer, client and secret as JSON, then takes people from stdin, a JSON document per
// line: the next ones to sign in, in order. It ends with its stdin.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/oauth2-proxy/mockoidc"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	provider, err := mockoidc.Run()
	if err != nil {
		return err
	}
	defer provider.Shutdown()
	config := map[string]string{
		"issuer":        provider.Issuer(),
		"client_id":     provider.ClientID,
		"client_secret": provider.ClientSecret,
	}
	if err := json.NewEncoder(os.Stdout).Encode(config); err != nil {
		return err
	}
	people := bufio.NewScanner(os.Stdin)
	for people.Scan() {
		user := &mockoidc.MockUser{}
		if err := json.Unmarshal(people.Bytes(), user); err != nil {
			return err
		}
		provider.QueueUser(user)
		fmt.Println("{}")
	}
	return people.Err()
}
