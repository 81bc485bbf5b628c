// A typed clientset that sends protobuf and accepts nothing else.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}

func expect(what string, found, wanted any) {
	if fmt.Sprint(found) != fmt.Sprint(wanted) {
		fail("%s: found %v, wanted %v", what, found, wanted)
	}
}

func main() {
	config, err := clientcmd.BuildConfigFromFlags("", os.Args[1])
	must(err)
	namespace := os.Args[2]
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = config.ContentType
	clients, err := kubernetes.NewForConfig(config)
	must(err)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	maps(ctx, clients, namespace)
	pods(ctx, clients, namespace)
	others(ctx, clients, namespace)
	fmt.Println("ok")
}

func maps(ctx context.Context, clients kubernetes.Interface, namespace string) {
	seen := make(chan string, 100)
	factory := informers.NewSharedInformerFactoryWithOptions(clients, 0, informers.WithNamespace(namespace))
	informer := factory.Core().V1().ConfigMaps().Informer()
	tell := func(word string) func(any) {
		return func(object any) {
			if m, ok := object.(*corev1.ConfigMap); ok && m.Name != "kube-root-ca.crt" {
				seen <- word + " " + m.Name + " " + m.Data["k"]
			}
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: tell("added"), DeleteFunc: tell("deleted"),
		UpdateFunc: func(_, object any) { tell("changed")(object) },
	})
	must(err)
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	wait := func(wanted string) {
		select {
		case found := <-seen:
			expect("informer", found, wanted)
		case <-ctx.Done():
			fail("the informer never saw %q", wanted)
		}
	}
	api := clients.CoreV1().ConfigMaps(namespace)
	object := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "m", Labels: map[string]string{"a": "b"}},
		Data:       map[string]string{"k": "1"}, BinaryData: map[string][]byte{"raw": {0, 255}},
	}
	made, err := api.Create(ctx, object, metav1.CreateOptions{})
	must(err)
	expect("bytes", made.BinaryData["raw"], []byte{0, 255})
	expect("managed fields", len(made.ManagedFields), 1)
	if made.UID == "" || time.Since(made.CreationTimestamp.Time) > time.Minute {
		fail("no identity: %v", made.ObjectMeta)
	}
	wait("added m 1")
	_, err = api.Create(ctx, object, metav1.CreateOptions{})
	expect("a taken name", errors.IsAlreadyExists(err), true)
	made.Data["k"] = "2"
	_, err = api.Update(ctx, made, metav1.UpdateOptions{})
	must(err)
	wait("changed m 2")
	_, err = api.Update(ctx, made, metav1.UpdateOptions{})
	expect("an old version", errors.IsConflict(err), true)
	patched, err := api.Patch(ctx, "m", types.StrategicMergePatchType, []byte(`{"data": {"k": "3"}}`), metav1.PatchOptions{})
	must(err)
	expect("patched", patched.Data["k"], "3")
	wait("changed m 3")
	page, err := api.List(ctx, metav1.ListOptions{Limit: 1})
	must(err)
	expect("page", len(page.Items), 1)
	rest, err := api.List(ctx, metav1.ListOptions{Continue: page.Continue})
	must(err)
	expect("rest", len(rest.Items), 1)
	_, err = api.Get(ctx, "nothing", metav1.GetOptions{})
	expect("a missing object", errors.IsNotFound(err), true)
	background := metav1.DeletePropagationBackground
	wrong := types.UID("no")
	err = api.Delete(ctx, "m", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &wrong}})
	expect("a precondition", errors.IsConflict(err), true)
	must(api.Delete(ctx, "m", metav1.DeleteOptions{PropagationPolicy: &background, Preconditions: &metav1.Preconditions{UID: &made.UID}}))
	wait("deleted m 3")
}

func pods(ctx context.Context, clients kubernetes.Interface, namespace string) {
	api := clients.CoreV1().Pods(namespace)
	seconds := int64(0)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "p-"},
		Spec: corev1.PodSpec{
			SchedulerName: "nobody", TerminationGracePeriodSeconds: &seconds,
			Containers: []corev1.Container{{
				Name: "c", Image: "shell",
				Env: []corev1.EnvVar{{Name: "N", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}}},
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("250m"), "memory": resource.MustParse("1Gi")}},
				ReadinessProbe: &corev1.Probe{
					ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromString("http")}},
					PeriodSeconds: 7,
				},
			}},
			Volumes: []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
		},
	}
	made, err := api.Create(ctx, pod, metav1.CreateOptions{})
	must(err)
	container := made.Spec.Containers[0]
	expect("request", container.Resources.Requests.Cpu().String(), "250m")
	expect("probe", container.ReadinessProbe.HTTPGet.Port.String(), "http")
	expect("period", container.ReadinessProbe.PeriodSeconds, 7)
	expect("grace", *made.Spec.TerminationGracePeriodSeconds, 0)
	expect("volume", made.Spec.Volumes[0].EmptyDir != nil, true)
	expect("phase", made.Status.Phase, corev1.PodPending)
	made.Status.Conditions = append(made.Status.Conditions, corev1.PodCondition{Type: "Mine", Status: "True", LastTransitionTime: metav1.Now()})
	made, err = api.UpdateStatus(ctx, made, metav1.UpdateOptions{})
	must(err)
	expect("condition", made.Status.Conditions[len(made.Status.Conditions)-1].Type, "Mine")
	_, err = api.Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{})
	expect("a wrong pod", errors.IsInvalid(err), true)
	status := err.(errors.APIStatus).Status()
	expect("causes", status.Details != nil && len(status.Details.Causes) > 0, true)
	must(api.EvictV1(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: made.Name}}))
	must(api.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "no=body"}))
}

func others(ctx context.Context, clients kubernetes.Interface, namespace string) {
	replicas := int32(0)
	labels := map[string]string{"app": "d"}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "d"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{SchedulerName: "nobody", Containers: []corev1.Container{{Name: "c", Image: "shell"}}},
			},
		},
	}
	deployments := clients.AppsV1().Deployments(namespace)
	_, err := deployments.Create(ctx, deployment, metav1.CreateOptions{})
	must(err)
	scale, err := deployments.GetScale(ctx, "d", metav1.GetOptions{})
	must(err)
	scale.Spec.Replicas = 1
	// The controller writes the status meanwhile.
	scale.ResourceVersion = ""
	scale, err = deployments.UpdateScale(ctx, "d", scale, metav1.UpdateOptions{})
	must(err)
	expect("scale", scale.Spec.Replicas, 1)

	access := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: "pods"}}}
	access, err = clients.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, access, metav1.CreateOptions{})
	must(err)
	expect("allowed", access.Status.Allowed, true)
	who, err := clients.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	must(err)
	expect("who", who.Status.UserInfo.Username, "kubernetes-admin")
	token, err := clients.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(err)
	expect("token", token.Status.Token != "" && token.Status.ExpirationTimestamp.After(time.Now()), true)

	now := metav1.NewMicroTime(time.Now().Truncate(time.Microsecond))
	holder := "me"
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "l"}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, RenewTime: &now}}
	lease, err = clients.CoordinationV1().Leases(namespace).Create(ctx, lease, metav1.CreateOptions{})
	must(err)
	expect("microseconds", lease.Spec.RenewTime.UTC(), now.UTC())

	groups, err := clients.Discovery().ServerPreferredResources()
	must(err)
	expect("groups", len(groups) > 10, true)
}
