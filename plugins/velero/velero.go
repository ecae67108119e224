// Package velero makes a vault of the backups that Velero keeps of a Kubernetes cluster.
//
// It asks the API server through kubectl, and so with whatever a kubeconfig can log in with. What it learns is
// Velero's word that a backup is complete, and no more: Velero looks at nothing that it has stored once it is
// stored. So this vault stands on guard.RungListed, and is no guard.Prover.
package velero

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/run"
)

// Vault is what one Velero has backed up, or those of its backups that a selector fits.
type Vault struct {
	args    []string
	timeout time.Duration
}

var _ guard.Vault = (*Vault)(nil)

// NewVault reads {namespace, schedule, selector, kubeconfig, context, timeout}. Namespace is where Velero runs,
// velero unless said otherwise. Schedule is the name of the schedule that makes the backups, selector one of
// labels, as kubectl reads it; with both, both have to fit. Without kubeconfig and context, it is those that
// kubectl uses by itself. Timeout bounds a listing, ten seconds unless said otherwise.
func NewVault(with guard.With) (guard.Vault, error) {
	config := struct {
		Namespace  string         `json:"namespace"`
		Schedule   string         `json:"schedule"`
		Selector   string         `json:"selector"`
		Kubeconfig string         `json:"kubeconfig"`
		Context    string         `json:"context"`
		Timeout    guard.Duration `json:"timeout"`
	}{Namespace: "velero", Timeout: guard.Duration(10 * time.Second)}
	mistakes := []error{with.Decode(&config)}
	if !label.MatchString(config.Namespace) {
		mistakes = append(mistakes, fmt.Errorf("namespace: %q is no name of one", config.Namespace))
	}
	if config.Schedule != "" && (!label.MatchString(config.Schedule) || len(config.Schedule) > labelBytes) {
		mistakes = append(mistakes, fmt.Errorf("schedule: %q is no name of one that fits into a label (use selector)", config.Schedule))
	}
	if config.Timeout <= 0 {
		mistakes = append(mistakes, errors.New("timeout: must be longer than nothing"))
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	v := &Vault{timeout: config.Timeout.Std(), args: []string{"get", resource, "--output=json", "--namespace=" + config.Namespace}}
	selector := config.Selector
	if config.Schedule != "" {
		selector = strings.TrimPrefix(selector+",", ",") + "velero.io/schedule-name=" + config.Schedule
	}
	for flag, value := range map[string]string{"--selector=": selector, "--kubeconfig=": config.Kubeconfig, "--context=": config.Context} {
		if value != "" {
			v.args = append(v.args, flag+value)
		}
	}
	return v, nil
}

const (
	resource   = "backups.v1.velero.io" // not those of another project, such as those of a database operator
	labelBytes = 63                     // of the value of a label; of a longer name, Velero takes a part and a hash
)

// label is how Kubernetes writes a name. It holds nothing that would change a selector.
var label = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)

// Backups lists the backups that are completed, and neither expired nor being deleted. Where nothing fits, the
// namespace itself may be missing: Kubernetes does not tell the two apart.
func (v *Vault) Backups(ctx context.Context) ([]guard.Backup, error) {
	output, err := run.Command{Program: "kubectl", Args: v.args, Timeout: v.timeout, Limit: 64 << 20}.Run(ctx)
	var no *exec.ExitError
	if errors.As(err, &no) {
		err = fmt.Errorf("%w: %s", no, strings.TrimSpace(logged.ReplaceAllString(output.Story, "")))
	}
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, errors.New("kubectl is not installed on this machine (https://kubernetes.io/docs/tasks/tools says how)")
	case err != nil && output.Says("doesn't have a resource type", "could not find the requested resource"):
		return nil, fmt.Errorf("this cluster has no Velero, or not the one that is meant (look at context): kubectl get %s: %w", resource, err)
	case err != nil && output.Says("(forbidden)"):
		return nil, fmt.Errorf("give this user the verb list on backups.velero.io in the namespace of Velero: kubectl get %s: %w", resource, err)
	case err != nil:
		return nil, fmt.Errorf("kubectl get %s: %w", resource, err)
	}
	return parse(output.Answer, time.Now())
}

// logged are the lines that kubectl logs beside what it says: the same trouble, once for each attempt.
var logged = regexp.MustCompile(`(?m)^[EWI][0-9]{4} .*\n?`)

// completed is the only phase of a backup that can be restored whole. The others are before it, or failed, or
// deleting; PartiallyFailed has an end too, and lacks what it failed on.
const completed = "Completed"

// parse reads a list of backups as of a time.
func parse(answer []byte, now time.Time) ([]guard.Backup, error) {
	var list struct {
		Items *[]struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Metadata   struct {
				Name     string    `json:"name"`
				Deletion time.Time `json:"deletionTimestamp"`
			} `json:"metadata"`
			Status struct {
				Phase      string    `json:"phase"`
				Completion time.Time `json:"completionTimestamp"`
				Expiration time.Time `json:"expiration"`
			} `json:"status"`
		} `json:"items"`
	}
	if err := json.Unmarshal(answer, &list); err != nil || list.Items == nil {
		return nil, fmt.Errorf("kubectl get %s printed %.200q, which is no list of backups", resource, answer)
	}
	var backups []guard.Backup
	for _, item := range *list.Items {
		if item.Kind != "Backup" || item.APIVersion != "velero.io/v1" || item.Metadata.Name == "" {
			return nil, fmt.Errorf("kubectl get %s lists %q of kind %s, %s, which is no backup of Velero", resource, item.Metadata.Name, item.Kind, item.APIVersion)
		}
		expired := !item.Status.Expiration.IsZero() && !item.Status.Expiration.After(now)
		if item.Status.Phase != completed || expired || !item.Metadata.Deletion.IsZero() {
			continue
		}
		if item.Status.Completion.IsZero() {
			return nil, fmt.Errorf("the backup %s is %s, and has no completionTimestamp", item.Metadata.Name, completed)
		}
		backups = append(backups, guard.Backup{ID: item.Metadata.Name, Ended: item.Status.Completion})
	}
	return backups, nil
}
