// Holds a WorkflowTemplate against what Argo Workflows takes: its own types, strictly, and its own linter.
package main

import (
	"fmt"
	"os"

	workflow "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/argoproj/argo-workflows/v3/workflow/validate"
	"sigs.k8s.io/yaml"
)

func main() {
	if err := check(os.Args[1]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("the template is valid")
}

func check(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	template := &workflow.WorkflowTemplate{}
	if err := yaml.UnmarshalStrict(text, template); err != nil {
		return err
	}
	if template.APIVersion != "argoproj.io/v1alpha1" || template.Kind != "WorkflowTemplate" {
		return fmt.Errorf("%s %s is not a WorkflowTemplate", template.APIVersion, template.Kind)
	}
	return validate.ValidateWorkflowTemplate(nil, nil, template, validate.ValidateOpts{Lint: true})
}
