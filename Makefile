.DEFAULT_GOAL := help
.PHONY: help test race lint bench

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: ## run all tests; needs no server
	go test ./...

race: ## run all tests under the race detector
	go test -race ./...

lint: ## run golangci-lint, version 2, with .golangci.yml
	golangci-lint run

bench: ## measure Compare against what else reads the same rows; ARGS="-quick", "-write", "-h"
	go run ./internal/bench $(ARGS)
