// SPDX-License-Identifier: Apache-2.0

// Package report is what the conformance programs in Go have in common: one line on standard output for each check.
package report

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// Patience is how long anything is waited for.
const Patience = 60 * time.Second

// A Check is one row of the compatibility matrix.
type Check struct {
	Name string
	Run  func() error
}

type skip struct{ why string }

func (s skip) Error() string { return s.why }

// Skip says that the client has no such call.
func Skip(why string) func() error {
	return func() error { return skip{why} }
}

// Equal compares by how the values print.
func Equal(what string, found, wanted any) error {
	shown, due := fmt.Sprint(found), fmt.Sprint(wanted)
	if shown != due {
		return fmt.Errorf("%s: %.100s, not %.100s", what, shown, due)
	}
	return nil
}

// Is demands the error that was due.
func Is(found, wanted error) error {
	if errors.Is(found, wanted) {
		return nil
	}
	return fmt.Errorf("error %v where %v was due", found, wanted)
}

// Until asks again until condition holds; it fails with what was waited for.
func Until(condition func() (bool, error), what string) error {
	deadline := time.Now().Add(Patience)
	for {
		done, err := condition()
		if done || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited in vain for: %s", what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Shares waits until the members have these numbers of partitions.
func Shares(wanted []int, shares ...func() int) error {
	found := make([]int, len(shares))
	err := Until(func() (bool, error) {
		for i, share := range shares {
			found[i] = share()
		}
		return Equal("", found, wanted) == nil, nil
	}, fmt.Sprintf("shares of partitions %v", wanted))
	if err != nil {
		return fmt.Errorf("%w; they are %v", err, found)
	}
	return nil
}

func oneLine(text string) string {
	return fmt.Sprintf("%.300s", strings.Join(strings.Fields(text), " "))
}

func run(check Check) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	return check.Run()
}

// Run makes the checks in their order and ends the process.
func Run(checks []Check) {
	failed := 0
	for _, check := range checks {
		err := run(check)
		var skipped skip
		switch {
		case err == nil:
			fmt.Printf("ok %s\n", check.Name)
		case errors.As(err, &skipped):
			fmt.Printf("skip %s: %s\n", check.Name, oneLine(err.Error()))
		default:
			failed++
			fmt.Printf("not ok %s: %s\n", check.Name, oneLine(err.Error()))
		}
	}
	if failed > 0 {
		os.Exit(1)
	}
}
