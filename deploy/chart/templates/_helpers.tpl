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
