// exec and port-forward over SPDY alone, as client-go did before it tried WebSockets.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	config, err := clientcmd.BuildConfigFromFlags("", os.Args[1])
	must(err)
	clients, err := kubernetes.NewForConfig(config)
	must(err)
	request := clients.CoreV1().RESTClient().Post().Resource("pods").Namespace(os.Args[2]).Name("p").SubResource("exec")
	for _, word := range []string{"sh", "-c", "cat; echo err >&2; exit 6"} {
		request = request.Param("command", word)
	}
	request = request.Param("stdin", "true").Param("stdout", "true").Param("stderr", "true")
	executor, err := remotecommand.NewSPDYExecutor(config, "POST", request.URL())
	must(err)
	var out, errs bytes.Buffer
	input := strings.Repeat("0123456789", 100000)
	err = executor.StreamWithContext(context.Background(),
		remotecommand.StreamOptions{Stdin: strings.NewReader(input), Stdout: &out, Stderr: &errs})
	var code exec.CodeExitError
	if !errors.As(err, &code) || code.Code != 6 || out.String() != input || errs.String() != "err\n" {
		must(fmt.Errorf("exec: %v, %d bytes, %q", err, out.Len(), errs.String()))
	}

	url := clients.CoreV1().RESTClient().Post().Resource("pods").Namespace(os.Args[2]).Name("p").SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(config)
	must(err)
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, "POST", url)
	stop, ready := make(chan struct{}), make(chan struct{})
	forwarder, err := portforward.New(dialer, []string{"0:7000"}, stop, ready, io.Discard, os.Stderr)
	must(err)
	go func() { must(forwarder.ForwardPorts()) }()
	<-ready
	ports, err := forwarder.GetPorts()
	must(err)
	for i := 0; i < 20; i++ {
		peer, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ports[0].Local))
		must(err)
		_, err = io.WriteString(peer, "hello")
		must(err)
		must(peer.(*net.TCPConn).CloseWrite())
		answer, err := io.ReadAll(peer)
		must(err)
		if string(answer) != "HELLO" {
			must(fmt.Errorf("port-forward: %q", answer))
		}
	}
	close(stop)
	fmt.Println("done")
}
