{{- define "spark-operator.chart-name" -}}
{{- default "spark-operator" .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* What the names of all objects begin with, as the published chart has it. */}}
{{- define "spark-operator.name" -}}
{{- $chart := include "spark-operator.chart-name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $chart .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $chart | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "spark-operator.selector" -}}
app.kubernetes.io/name: {{ include "spark-operator.chart-name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end }}

{{/* Labels of objects: ours before those that the values give. */}}
{{- define "spark-operator.labels" -}}
{{- $ours := include "spark-operator.selector" . | fromYaml -}}
{{- toYaml (mergeOverwrite (deepCopy .Values.commonLabels) $ours (dict "app.kubernetes.io/version" .Chart.AppVersion)) -}}
{{- end }}

{{/* Name of the webhook's configurations; Secret and service begin with it. */}}
{{- define "spark-operator.webhook" -}}
{{- include "spark-operator.name" . }}-webhook
{{- end }}

{{- define "spark-operator.webhook-labels" -}}
{{- toYaml (mergeOverwrite (include "spark-operator.labels" . | fromYaml) (dict "app.kubernetes.io/component" "webhook")) -}}
{{- end }}

{{/* The labels of namespaces of applications as a text: the values may have an object. */}}
{{- define "spark-operator.job-selector" -}}
{{- $given := .Values.spark.jobNamespaceSelector -}}
{{- if kindIs "map" $given -}}
{{- $parts := list -}}
{{- range $key, $value := $given.matchLabels -}}
{{- $parts = append $parts (printf "%s=%s" $key $value) -}}
{{- end -}}
{{- range $given.matchExpressions -}}
{{- if eq .operator "In" -}}
{{- $parts = append $parts (printf "%s in (%s)" .key (join "," .values)) -}}
{{- else if eq .operator "NotIn" -}}
{{- $parts = append $parts (printf "%s notin (%s)" .key (join "," .values)) -}}
{{- else if eq .operator "DoesNotExist" -}}
{{- $parts = append $parts (printf "!%s" .key) -}}
{{- else -}}
{{- $parts = append $parts .key -}}
{{- end -}}
{{- end -}}
{{- join "," $parts -}}
{{- else -}}
{{- default "" $given -}}
{{- end -}}
{{- end }}

{{/* "yes" when applications may be in any namespace of the cluster. */}}
{{- define "spark-operator.everywhere" -}}
{{- $names := .Values.spark.jobNamespaces -}}
{{- if or (has "" $names) (and (not $names) (not (include "spark-operator.job-selector" .))) }}yes{{ end -}}
{{- end }}

{{/* "yes" when namespaces are selected by their labels. */}}
{{- define "spark-operator.selected" -}}
{{- if and (include "spark-operator.job-selector" .) (not (include "spark-operator.everywhere" .)) }}yes{{ end -}}
{{- end }}

{{/* The selected namespaces as expressions. Those that are named are left out: their objects are reviewed once. */}}
{{- define "spark-operator.expressions" -}}
{{- range regexFindAll "[^,(]+(\\([^)]*\\))?" (include "spark-operator.job-selector" .) -1 }}
{{- $part := trim . }}
{{- if contains "(" $part }}
- key: {{ regexReplaceAll "\\s.*$" $part "" | quote }}
  operator: {{ ternary "NotIn" "In" (regexMatch "\\snotin\\s*\\(" $part) }}
  values:
    {{- range splitList "," (regexReplaceAll "^.*\\((.*)\\).*$" $part "${1}") }}
    - {{ trim . | quote }}
    {{- end }}
{{- else if contains "=" $part }}
- key: {{ regexReplaceAll "\\s*!?=.*$" $part "" | quote }}
  operator: {{ ternary "NotIn" "In" (contains "!=" $part) }}
  values:
    - {{ regexReplaceAll "^[^=]*==?\\s*" $part "" | quote }}
{{- else if hasPrefix "!" $part }}
- key: {{ trimPrefix "!" $part | trim | quote }}
  operator: DoesNotExist
{{- else if $part }}
- key: {{ $part | quote }}
  operator: Exists
{{- end }}
{{- end }}
{{- with .Values.spark.jobNamespaces }}
- key: kubernetes.io/metadata.name
  operator: NotIn
  values:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}

{{/*
Entries of a webhook's configuration, out of a dict of "root", "name", "path" and "rules": one for the namespaces that are named, and one
for those with the labels. A label selector cannot say "or".
*/}}
{{- define "spark-operator.entries" -}}
{{- $root := .root -}}
{{- $names := $root.Values.spark.jobNamespaces -}}
{{- $selectors := list -}}
{{- if include "spark-operator.everywhere" $root -}}
{{- $selectors = list (dict "name" .name "selector" (dict)) -}}
{{- else -}}
{{- if $names -}}
{{- $named := dict "key" "kubernetes.io/metadata.name" "operator" "In" "values" $names -}}
{{- $selectors = append $selectors (dict "name" .name "selector" (dict "matchExpressions" (list $named))) -}}
{{- end -}}
{{- if include "spark-operator.selected" $root -}}
{{- $name := ternary (printf "%s-selected" .name) .name (not (empty $names)) -}}
{{- $expressions := include "spark-operator.expressions" $root | fromYamlArray -}}
{{- $selectors = append $selectors (dict "name" $name "selector" (dict "matchExpressions" $expressions)) -}}
{{- end -}}
{{- end -}}
{{- range $selectors }}
- name: {{ .name }}.sparkoperator.k8s.io
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: {{ $root.Values.webhook.failurePolicy }}
  timeoutSeconds: {{ $root.Values.webhook.timeoutSeconds }}
  namespaceSelector:
    {{- toYaml .selector | nindent 4 }}
  clientConfig:
    service:
      namespace: {{ $root.Release.Namespace }}
      name: {{ include "spark-operator.webhook" $root }}-svc
      path: {{ $.path }}
      port: 443
  rules:
    {{- toYaml $.rules | nindent 4 }}
{{- end }}
{{- end }}

{{- define "spark-operator.account" -}}
{{- default (printf "%s-controller" (include "spark-operator.name" .)) .Values.controller.serviceAccount.name -}}
{{- end }}

{{- define "spark-operator.driver-account" -}}
{{- default (printf "%s-spark" (include "spark-operator.name" .)) .Values.spark.serviceAccount.name -}}
{{- end }}

{{/* The image; where a values file names the published operator's, ours. */}}
{{- define "spark-operator.image" -}}
{{- $published := (.Files.Get "files/published.yaml" | fromYaml).images -}}
{{- $image := .Values.image -}}
{{- $theirs := has $image.repository $published.repositories -}}
{{- $registry := ternary "" $image.registry (and $theirs (has $image.registry $published.registries)) -}}
{{- if $registry }}{{ trimSuffix "/" $registry }}/{{ end -}}
{{- if $theirs }}stoke:{{ .Chart.AppVersion }}{{ else }}{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}{{ end -}}
{{- end }}

{{/* Operators side by side: as many as work or answer reviews; none when the controller is scaled to none. */}}
{{- define "spark-operator.replicas" -}}
{{- $asked := int .Values.controller.replicas -}}
{{- if and (gt $asked 0) .Values.webhook.enable }}{{ max $asked (int .Values.webhook.replicas) }}{{ else }}{{ $asked }}{{ end -}}
{{- end }}

{{/* What of the values has no effect here, as lines "key: why". */}}
{{- define "spark-operator.without-effect" -}}
{{- $values := .Values -}}
{{- $published := .Files.Get "files/published.yaml" | fromYaml -}}
{{- if has .Values.image.repository $published.images.repositories }}
image.repository: {{ $published.images.why }}
{{- end }}
{{- include "spark-operator.refusable" . }}
{{- end }}

{{- define "spark-operator.refusable" -}}
{{- $values := .Values -}}
{{- range (.Files.Get "files/published.yaml" | fromYaml).keys }}
{{- $entry := . }}
{{- $found := $values }}
{{- range splitList "." .key }}
{{- if and (kindIs "map" $found) (hasKey $found .) }}{{ $found = get $found . }}{{ else }}{{ $found = "absent-here" }}{{ end }}
{{- end }}
{{- $effective := false }}
{{- if kindIs "invalid" $found }}
{{- else if $entry.item }}
{{- if kindIs "slice" $found }}{{ range $found }}{{ if get . $entry.item }}{{ $effective = true }}{{ end }}{{ end }}{{ end }}
{{- else if ne (toJson $found) "\"absent-here\"" }}
{{- $effective = true }}
{{- range $entry.published }}{{ if eq (toJson .) (toJson $found) }}{{ $effective = false }}{{ end }}{{ end }}
{{- end }}
{{- if $effective }}
{{ $entry.key }}: {{ $entry.why }}
{{- end }}
{{- end }}
{{- end }}
