package main

import (
	"cmp"

	"github.com/so-mirror/mirror/examples/internal/customers"
)

const configHelp = customers.Help + "\nWhere a file has members, --context picks one."

// loadConfig reads the file of --config, if there is one, once.
func (a *app) loadConfig() error {
	name := cmp.Or(a.flags.config, a.env(envConfig))
	if name == "" || a.config != nil {
		return nil
	}
	c, err := customers.Read(name)
	if err != nil {
		return err
	}
	if a.stateDir, err = c.StateDir(a.environment()); err != nil {
		return err
	}
	a.config = c
	if line := c.PasswordForAll(); line > 0 {
		a.warn("%s:%d: everybody on this machine can read the password in it. Write ${NAME} and put it into the environment, or take the right to read the file from others: chmod 600 %s", name, line, quoted(name))
	}
	return nil
}

// environment is what variables of the file mean.
func (a *app) environment() customers.Environment {
	return customers.Environment{Get: a.env, Secrets: &a.secrets}
}
