{{- define "spark-operator.name" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "spark-operator.selector" -}}
app.kubernetes.io/name: spark-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end }}

{{- define "spark-operator.labels" -}}
{{ include "spark-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{/* Name of the webhook's configurations; Secret and service begin with it. */}}
{{- define "spark-operator.webhook" -}}
{{- include "spark-operator.name" . }}-webhook
{{- end }}

{{- define "spark-operator.webhook-labels" -}}
{{- include "spark-operator.labels" . | replace "component: controller" "component: webhook" -}}
{{- end }}

{{/* The namespaces of applications as a label selector, indented by four. */}}
{{- define "spark-operator.namespaces" -}}
{{- if .Values.spark.jobNamespaceSelector }}
    namespaceSelector:
      matchExpressions:
        {{- range regexFindAll "[^,(]+(\\([^)]*\\))?" .Values.spark.jobNamespaceSelector -1 }}
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
{{- else if include "spark-operator.everywhere" . }}
    namespaceSelector: {}
{{- else }}
    namespaceSelector:
      matchExpressions:
        - key: kubernetes.io/metadata.name
          operator: In
          values:
            {{- toYaml .Values.spark.jobNamespaces | nindent 12 }}
{{- end }}
{{- end }}

{{- define "spark-operator.account" -}}
{{- default (printf "%s-controller" (include "spark-operator.name" .)) .Values.controller.serviceAccount.name -}}
{{- end }}

{{- define "spark-operator.driver-account" -}}
{{- default (printf "%s-spark" (include "spark-operator.name" .)) .Values.spark.serviceAccount.name -}}
{{- end }}

{{- define "spark-operator.image" -}}
{{- with .Values.image -}}
{{- if .registry }}{{ trimSuffix "/" .registry }}/{{ end }}{{ .repository }}:{{ default $.Chart.AppVersion .tag -}}
{{- end -}}
{{- end }}

{{/* "yes" when applications may be in any namespace of the cluster. */}}
{{- define "spark-operator.everywhere" -}}
{{- if or .Values.spark.jobNamespaceSelector (not .Values.spark.jobNamespaces) (has "" .Values.spark.jobNamespaces) }}yes{{ end -}}
{{- end }}
