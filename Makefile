# Needs Go and git; `make race` a C compiler too. Everything that is built lies in bin/ and .bin/.

VERSION      := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
GOBUILD      := CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.released=$(VERSION)"
FUZZTIME     ?= 30s
LINT_VERSION := v2.15.0
GOLANGCI     ?= .bin/$(LINT_VERSION)/golangci-lint
ACT_VERSION  := v0.2.89
ACT          ?= .bin/act-$(ACT_VERSION)/act

.PHONY: all build golive vet lint race test bench bench-judge bench-server soak demo e2e e2e-kube e2e-action fuzz cover clean

all: build vet lint race

build: golive
	$(GOBUILD) -o bin/ ./cmd/...
	$(GOBUILD) -o bin/golive-plugin-flags ./examples/plugin-flags

# Without the plugins whose libraries take minutes to compile.
golive:
	$(GOBUILD) -o bin/ ./cmd/golive ./examples/shop ./examples/demo

vet:
	go vet ./...

lint: $(GOLANGCI)
	$(GOLANGCI) run

race:
	CGO_ENABLED=1 go test -race -short -timeout=30m ./...

test:
	go test -timeout=30m ./...

bench:
	go test -run='^$$' -bench=. -benchmem ./...

# golive's judge beside the rules of other tools, on the same traffic: writes guard/judge/RESULTS.md.
bench-judge:
	go test ./guard/judge/judgebench -count=1 -run=TestResults -update -timeout=1h $(if $(EXPERIMENTS),-experiments=$(abspath $(EXPERIMENTS)))

# A server with 1,000 rollouts, their metrics from a real Prometheus, and with 10,000: cores, memory, late ticks, hooks.
bench-server:
	go test ./cmd/golive -run='^$$' -bench=BenchmarkServe -benchtime=1x -timeout=1h

# A busy server for SOAK: its memory, goroutines and files stay what they are.
SOAK ?= 30m
soak:
	GOLIVE_SOAK=$(SOAK) go test ./cmd/golive -count=1 -run=TestServeSoak -v -timeout=2h

demo: golive
	bin/demo --golive bin/golive --shop bin/shop --report bin/demo-report.html

# The same tests; but a real component that is not installed is a failure, where it is a skip elsewhere.
e2e: build
	CI=true go test -count=1 -timeout=30m ./...

# The backends of Kubernetes on a real cluster: make e2e-kube KUBECONFIG=FILE. Any will do that you may fill with test
# namespaces; plugins/kubernetes/cluster_test.go says what else can be set. IN stands before the test, for a cluster
# that lives in a network namespace: IN="ip netns exec NAME".
e2e-kube:
	@test -n "$(KUBECONFIG)" || { echo "which cluster? make e2e-kube KUBECONFIG=FILE" >&2; exit 2; }
	go test -c -o bin/e2e-kube.test ./plugins/kubernetes
	@set -e; folder() { go mod download -json "$$1" | sed -n 's/^.*"Dir": "\(.*\)".*$$/\1/p'; }; \
	gateway=$$(folder sigs.k8s.io/gateway-api@v1.6.3); argo=$$(folder github.com/argoproj/argo-rollouts@v1.8.3); \
	cd plugins/kubernetes; \
	export GOLIVE_KUBECONFIG="$(abspath $(KUBECONFIG))"; \
	export GOLIVE_E2E_GATEWAY_CRD="$$gateway/config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"; \
	export GOLIVE_E2E_ROLLOUT_CRD="$$argo/manifests/crds/rollout-crd.yaml"; \
	$(IN) $(CURDIR)/bin/e2e-kube.test -test.v -test.timeout=30m -test.run='$(or $(RUN),^TestCluster)'

# The action of golive in workflows, run on this machine by act, without GitHub and without containers.
e2e-action: $(ACT)
	GOLIVE_E2E_ACT=$(abspath $(ACT)) go test ./examples/github -count=1 -run='^TestAct$$' -v -timeout=30m

# Each fuzz target of each package, for FUZZTIME. Making an input small may take more than that, so it is bounded.
# Once more after a failure: go's fuzzer may miss its own deadline, and an input that it has found fails again.
fuzz:
	@set -e; targets=$$(go test -list='^Fuzz' ./...); echo "$$targets" | \
	awk '/^Fuzz/ { names[++n] = $$1 } /^ok/ { while (n) print $$2, names[n--] }' | \
	while read -r package target; do \
		echo "== $$package $$target for $(FUZZTIME)"; \
		fuzz() { go test -run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=100x "$$package" </dev/null; }; \
		fuzz || fuzz; \
	done

cover:
	@mkdir -p bin
	go test -coverpkg=./... -coverprofile=bin/cover.out ./...
	go tool cover -func=bin/cover.out | tail -1

# No package manager has this one. It takes minutes the first time, and the network.
.bin/act-$(ACT_VERSION)/act:
	GOBIN=$(CURDIR)/$(@D) go install github.com/nektos/act@$(ACT_VERSION) || \
	{ echo "act cannot be built here: install it (https://nektosact.com), and say make e2e-action ACT=PATH" >&2; exit 1; }

clean:
	rm -rf bin .bin

# Takes four minutes the first time; `make GOLANGCI=golangci-lint` takes the one on PATH.
.bin/$(LINT_VERSION)/golangci-lint:
	GOBIN=$(CURDIR)/$(@D) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
