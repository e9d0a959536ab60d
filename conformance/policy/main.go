// The admission plugins of a Kubernetes API server for policies, in a process of their own: they get the policies, the service accounts and the pods from the standard
// input, and each pod comes out as the API server would have it, or with the refusal that its client would see.
//
// Only what surrounds the plugins is made up: objects come from a client without a server, and defaults are not set.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/client-go/discovery"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/openapi"
	"k8s.io/client-go/openapi/openapitest"
)

type input struct {
	// Policies and bindings.
	Objects []json.RawMessage `json:"objects"`
	// Every service account that there is.
	Accounts []corev1.ServiceAccount `json:"accounts"`
	Pods     []json.RawMessage       `json:"pods"`
}

type output struct {
	Pod   *corev1.Pod `json:"pod,omitempty"`
	Error string      `json:"error,omitempty"`
}

// client is the one without a server, with the schemas that a server would publish.
type client struct{ kubernetes.Interface }

type schemas struct{ discovery.DiscoveryInterface }

func (c client) Discovery() discovery.DiscoveryInterface { return schemas{c.Interface.Discovery()} }

func (schemas) OpenAPIV3() openapi.Client { return openapitest.NewEmbeddedFileClient() }

// plugin is what the two plugins have in common.
type plugin interface {
	SetExternalKubeClientSet(kubernetes.Interface)
	SetExternalKubeInformerFactory(informers.SharedInformerFactory)
	SetRESTMapper(meta.RESTMapper)
	SetDrainedNotification(<-chan struct{})
	SetEnabled(bool)
	ValidateInitialization() error
	WaitForReady() bool
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	var in input
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		return fmt.Errorf("the input can't be read: %w", err)
	}
	objects, err := objectsOf(&in)
	if err != nil {
		return err
	}
	var pods []*corev1.Pod
	for number, text := range in.Pods {
		pod := &corev1.Pod{}
		if err := json.Unmarshal(text, pod); err != nil {
			return fmt.Errorf("pod %d: %w", number, err)
		}
		pods = append(pods, pod)
	}

	stop := make(chan struct{})
	defer close(stop)
	clientset := fake.NewSimpleClientset(objects...)
	// Of the client itself: it says of itself that it can't stream lists.
	factory := informers.NewSharedInformerFactory(clientset, 0)
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{corev1.SchemeGroupVersion})
	mapper.Add(corev1.SchemeGroupVersion.WithKind("ServiceAccount"), meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)
	mutate, err := mutating.NewPlugin(nil)
	if err != nil {
		return err
	}
	validate, err := validating.NewPlugin(nil)
	if err != nil {
		return err
	}
	dynamic := dynamicfake.NewSimpleDynamicClient(scheme.Scheme)
	mutate.SetDynamicClient(dynamic)
	validate.SetDynamicClient(dynamic)
	mutate.SetAuthorizer(authorizerfactory.NewAlwaysAllowAuthorizer())
	validate.SetAuthorizer(authorizerfactory.NewAlwaysAllowAuthorizer())
	for _, one := range []plugin{mutate, validate} {
		one.SetExternalKubeClientSet(client{clientset})
		one.SetExternalKubeInformerFactory(factory)
		one.SetRESTMapper(mapper)
		one.SetDrainedNotification(stop)
		one.SetEnabled(true)
		if err := one.ValidateInitialization(); err != nil {
			return err
		}
	}
	factory.Start(stop)
	factory.WaitForCacheSync(stop)
	if !mutate.WaitForReady() || !validate.WaitForReady() {
		return fmt.Errorf("the plugins did not get ready")
	}

	interfaces := admission.NewObjectInterfacesFromScheme(scheme.Scheme)
	kind := corev1.SchemeGroupVersion.WithKind("Pod")
	resource := corev1.SchemeGroupVersion.WithResource("pods")
	answers := json.NewEncoder(os.Stdout)
	admit := func(pod *corev1.Pod) output {
		pod = pod.DeepCopy()
		attributes := admission.NewAttributesRecord(
			pod, nil, kind, pod.Namespace, pod.Name, resource, "", admission.Create, &metav1.CreateOptions{}, false, &user.DefaultInfo{Name: "tester"})
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := mutate.Admit(ctx, attributes, interfaces); err != nil {
			return output{Error: err.Error()}
		}
		// The API server asks again when anything was changed.
		if attributes.GetReinvocationContext().ShouldReinvoke() {
			attributes.GetReinvocationContext().SetIsReinvoke()
			if err := mutate.Admit(ctx, attributes, interfaces); err != nil {
				return output{Error: err.Error()}
			}
		}
		if err := validate.Validate(ctx, attributes, interfaces); err != nil {
			return output{Error: err.Error()}
		}
		return output{Pod: pod}
	}
	// The schemas are read in the background, and nothing tells when they are there; nor when the policies' parameters are.
	for begin := time.Now(); len(pods) > 0; time.Sleep(50 * time.Millisecond) {
		answer := admit(pods[0])
		if answer.Error == "" && !reflect.DeepEqual(answer.Pod, pods[0]) {
			break
		}
		if time.Since(begin) > 30*time.Second {
			return fmt.Errorf("the first pod, which must be one that the policies change, is not: %v", answer.Error)
		}
	}
	for _, pod := range pods {
		if err := answers.Encode(admit(pod)); err != nil {
			return err
		}
	}
	return nil
}

// objectsOf are the policies, the service accounts, and the namespaces that they and the pods are in.
func objectsOf(in *input) ([]runtime.Object, error) {
	var objects []runtime.Object
	for number, text := range in.Objects {
		var head metav1.TypeMeta
		if err := json.Unmarshal(text, &head); err != nil {
			return nil, fmt.Errorf("object %d: %w", number, err)
		}
		var object runtime.Object
		switch head.Kind {
		case "MutatingAdmissionPolicy":
			object = &admissionregistrationv1.MutatingAdmissionPolicy{}
		case "MutatingAdmissionPolicyBinding":
			object = &admissionregistrationv1.MutatingAdmissionPolicyBinding{}
		case "ValidatingAdmissionPolicy":
			object = &admissionregistrationv1.ValidatingAdmissionPolicy{}
		case "ValidatingAdmissionPolicyBinding":
			object = &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}
		default:
			return nil, fmt.Errorf("object %d is a %s", number, head.Kind)
		}
		// Strictly: what the API does not know is a mistake.
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(object); err != nil {
			return nil, fmt.Errorf("object %d: %w", number, err)
		}
		setDefaults(object)
		objects = append(objects, object)
	}
	namespaces := map[string]bool{}
	for index := range in.Accounts {
		objects = append(objects, &in.Accounts[index])
		namespaces[in.Accounts[index].Namespace] = true
	}
	for name := range namespaces {
		labels := map[string]string{"kubernetes.io/metadata.name": name}
		objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
	}
	return objects, nil
}

// setDefaults is what an API server does before it stores the object.
func setDefaults(object runtime.Object) {
	var resources *admissionregistrationv1.MatchResources
	switch object := object.(type) {
	case *admissionregistrationv1.MutatingAdmissionPolicy:
		resources = object.Spec.MatchConstraints
	case *admissionregistrationv1.MutatingAdmissionPolicyBinding:
		resources = object.Spec.MatchResources
	case *admissionregistrationv1.ValidatingAdmissionPolicy:
		resources = object.Spec.MatchConstraints
	case *admissionregistrationv1.ValidatingAdmissionPolicyBinding:
		resources = object.Spec.MatchResources
	}
	if resources.NamespaceSelector == nil {
		resources.NamespaceSelector = &metav1.LabelSelector{}
	}
	if resources.ObjectSelector == nil {
		resources.ObjectSelector = &metav1.LabelSelector{}
	}
	if resources.MatchPolicy == nil {
		equivalent := admissionregistrationv1.Equivalent
		resources.MatchPolicy = &equivalent
	}
}
