# Projectionist. `make` lists what there is.
DIR    ?=
DATA   ?=
LISTEN ?= 127.0.0.1:8000
N      ?= 100
export CGO_ENABLED = 0

.DEFAULT_GOAL := help
.PHONY: help run build console test-console eval test torture damage test-kafka clients guide image bench vet clean ci

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20
	@echo
	@echo "  DIR=folder     data folder of run; by default projectionist-data/ and the data set's name"
	@echo "  DATA=path      a MovieLens or MovieTweetings folder or zip for run; without it an empty"
	@echo "                 folder is filled from a simulated world"
	@echo "  EVAL=flags     more of eval, such as --protocols leave-one-out,next-item"
	@echo "  LISTEN=h:p     where run listens, $(LISTEN) by default"

run: build ## build, start, fill with data, train, and serve recommendations
	./bin/projectionist serve --listen $(LISTEN) $(if $(DIR),--dir $(DIR)) $(if $(DATA),--data $(DATA))

build: ## build bin/projectionist
	go build -trimpath -o bin/projectionist .

eval: build ## judge every algorithm on DATA by the protocols of the literature, into eval.md and eval.json (TRIALS=9 to choose parameters)
	./bin/projectionist eval $(DATA) $(if $(TRIALS),--trials $(TRIALS)) --markdown eval.md --json eval.json $(EVAL)

test: ## every test that needs nothing but Go
	go test -timeout 8m ./...

torture: ## kill -9 the program N times under load, then check every acknowledged event (N=100)
	TORTURE_KILLS=$(N) go test ./internal/app -run '^TestTorture' -count=1 -timeout 0 -v

damage: ## damage files of logs N times at random, and see that none is opened with less (N=100)
	DAMAGE_N=$(N) go test ./streams/local -run '^TestDamage$$' -count=1 -timeout 0 -v

test-kafka: ## real Apache Kafka and Kafka's clients, which it installs (a JDK and Maven are needed)
	deploy/kafka/clients.sh
	deploy/kafka/test.sh

clients: ## MLflow's own pages in a browser, on what its client has logged (a Python and npm are needed)
	.ci/run clients

console: ## make the web console's files, api/console/dist, of their sources
	go run ./api/console/build

test-console: ## the web console in a real browser, on a server with a simulated world (npm is needed)
	deploy/console/test.sh

guide: ## run docs/guide.md from its first block to its last, as typed, and check what each prints
	go run ./internal/guide

image: ## build the image, run it, and see that it holds what it says (docker, podman or buildah)
	deploy/image.sh

bench: ## measure speed and memory against peers and limits, in one table
	go run ./internal/bench

vet: ## static checks that come with Go
	go vet ./...

clean: ## delete what was built (never data)
	rm -rf bin

ci: ## everything CI runs
	.ci/run
