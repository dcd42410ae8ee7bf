// An OpenID provider for tests: mockoidc, which is a library, as a program.
//
// It prints its issuer, client and secret as JSON. Then it carries out a command for each line of its
// stdin, and answers each with a line. It ends with its stdin.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/oauth2-proxy/mockoidc"
)

type command struct {
	// The next one to sign in.
	User *mockoidc.MockUser
	// Sign by another key from now on.
	Rotate bool
	// Move the clock, forward or back.
	Seconds int
}

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
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var asked command
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			return err
		}
		if asked.User != nil {
			provider.QueueUser(asked.User)
		}
		if asked.Rotate {
			if provider.Keypair, err = mockoidc.RandomKeypair(2048); err != nil {
				return err
			}
		}
		provider.FastForward(time.Duration(asked.Seconds) * time.Second)
		fmt.Println("{}")
	}
	return lines.Err()
}
