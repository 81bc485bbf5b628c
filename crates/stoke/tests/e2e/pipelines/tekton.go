// Holds a file of Tasks and a Pipeline against what Tekton takes: its own types, strictly, its own defaults and its own validation; and that what a Pipeline gives to a Task is what that Task asks for.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	pipeline "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	strict "sigs.k8s.io/yaml"
)

func main() {
	if err := check(os.Args[1]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func check(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	tasks, pipelines := map[string]*pipeline.Task{}, []*pipeline.Pipeline{}
	documents := yaml.NewYAMLReader(bufio.NewReader(file))
	ctx := context.Background()
	for {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		var kind struct{ APIVersion, Kind string }
		if err := strict.Unmarshal(text, &kind); err != nil {
			return err
		}
		switch kind.APIVersion + " " + kind.Kind {
		case "tekton.dev/v1 Task":
			task := &pipeline.Task{}
			if err := strict.UnmarshalStrict(text, task); err != nil {
				return err
			}
			task.SetDefaults(ctx)
			if err := task.Validate(ctx); err != nil {
				return fmt.Errorf("task %s: %w", task.Name, err)
			}
			tasks[task.Name] = task
		case "tekton.dev/v1 Pipeline":
			one := &pipeline.Pipeline{}
			if err := strict.UnmarshalStrict(text, one); err != nil {
				return err
			}
			one.SetDefaults(ctx)
			if err := one.Validate(ctx); err != nil {
				return fmt.Errorf("pipeline %s: %w", one.Name, err)
			}
			pipelines = append(pipelines, one)
		default:
			return fmt.Errorf("%s %s is neither a Task nor a Pipeline of tekton.dev/v1", kind.APIVersion, kind.Kind)
		}
	}
	for _, one := range pipelines {
		for _, use := range one.Spec.Tasks {
			task := tasks[use.TaskRef.Name]
			if task == nil {
				return fmt.Errorf("pipeline %s: there is no Task %s", one.Name, use.TaskRef.Name)
			}
			if err := fits(&use, task); err != nil {
				return fmt.Errorf("pipeline %s, task %s: %w", one.Name, use.Name, err)
			}
		}
	}
	fmt.Printf("%d tasks and %d pipelines are valid\n", len(tasks), len(pipelines))
	return nil
}

func fits(use *pipeline.PipelineTask, task *pipeline.Task) error {
	given := map[string]bool{}
	for _, one := range use.Params {
		given[one.Name] = true
	}
	for _, one := range task.Spec.Params {
		if one.Default == nil && !given[one.Name] {
			return fmt.Errorf("the parameter %s is not given", one.Name)
		}
		delete(given, one.Name)
	}
	for name := range given {
		return fmt.Errorf("the Task has no parameter %s", name)
	}
	bound := map[string]bool{}
	for _, one := range use.Workspaces {
		bound[one.Name] = true
	}
	for _, one := range task.Spec.Workspaces {
		if !one.Optional && !bound[one.Name] {
			return fmt.Errorf("the workspace %s is not given", one.Name)
		}
	}
	return nil
}
