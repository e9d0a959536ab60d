{{/* One name for everything, so that the flags, the Secret and the configuration find each other. */}}
{{- define "webhook.name" -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- end -}}

{{- define "webhook.selector" -}}
app.kubernetes.io/name: pod-identity-webhook
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "webhook.labels" -}}
{{ include "webhook.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "webhook.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The Secret that holds the serving certificate. */}}
{{- define "webhook.secret" -}}
{{- if eq .Values.certificate.source "secret" -}}
{{ .Values.certificate.secretName }}
{{- else if eq .Values.certificate.source "cert-manager" -}}
{{ include "webhook.name" . }}-certificate
{{- else -}}
{{ include "webhook.name" . }}
{{- end -}}
{{- end -}}

{{/* Namespaces that no entry with failurePolicy Fail ever sees. */}}
{{- define "webhook.exempt" -}}
{{- concat (list "kube-system" "kube-public" "kube-node-lease" .Release.Namespace) .Values.failClosed.exemptNamespaces | uniq | toJson -}}
{{- end -}}

{{/* What the entries have in common, but for their selectors. */}}
{{- define "webhook.entry" -}}
clientConfig:
  {{- if eq .root.Values.certificate.source "secret" }}
  caBundle: {{ .root.Values.certificate.ca | b64enc }}
  {{- end }}
  service:
    name: {{ include "webhook.name" .root }}
    namespace: {{ .root.Release.Namespace }}
    path: {{ .path }}
rules:
  - apiGroups: [""]
    apiVersions: [v1]
    operations: [CREATE]
    resources: [pods]
    scope: Namespaced
admissionReviewVersions: [v1, v1beta1]
matchPolicy: Equivalent
reinvocationPolicy: IfNeeded
sideEffects: NoneOnDryRun
timeoutSeconds: {{ .root.Values.timeoutSeconds }}
{{- end -}}
