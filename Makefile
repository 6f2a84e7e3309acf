.DEFAULT_GOAL := help
.PHONY: help test race lint bench live

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

MSSQL ?= 2022
LIVE_DSN ?= sqlserver://sa:Mirror-Test-1433@127.0.0.1:1433?database=mirror_test&encrypt=disable

# Not run where it was written: there were no containers.
live: ## run the suite against SQL Server in a container; MSSQL=2019, 2022 or 2025
	MSSQL=$(MSSQL) docker compose up --detach --wait server
	MSSQL=$(MSSQL) docker compose run --rm setup
	MIRROR_TEST_SQLSERVER_DSN='$(LIVE_DSN)' go test -count=1 -timeout=60m ./store/mssql
	docker compose down --volumes
