{{/* Made by `stoke platform render --as chart`. */}}

{{/* An amount as Kubernetes prints it: 2048Mi is 2Gi, 1000m is 1. */}}
{{- define "platform.amount" -}}
{{- $text := toString . }}
{{- $suffix := regexFind "[A-Za-z]*$" $text }}
{{- $number := trimSuffix $suffix $text | int64 }}
{{- $next := dict "m" "" "" "k" "k" "M" "M" "G" "Mi" "Gi" "Gi" "Ti" "Ti" "Pi" }}
{{- $base := 1000 }}
{{- if hasSuffix "i" $suffix }}{{ $base = 1024 }}{{ end }}
{{- if and (hasKey $next $suffix) (eq (mod $number $base) 0) }}
{{- include "platform.amount" (printf "%d%s" (div $number $base) (get $next $suffix)) }}
{{- else }}{{ $text }}{{ end }}
{{- end }}

{{/* Thousandths of a CPU. */}}
{{- define "platform.millis" -}}
{{- $text := toString . }}
{{- if hasSuffix "m" $text }}{{ trimSuffix "m" $text }}{{ else }}{{ mul (int64 $text) 1000 }}{{ end }}
{{- end }}

{{/* What is set of each component: by the environment, and by the values. What `stoke platform check` refuses is refused here. */}}
{{- define "platform.values" -}}
{{- $fixed := .Files.Get (printf "environments/%s.yaml" .Values.environment) | fromYaml }}
{{- $set := mustMergeOverwrite (deepCopy $fixed.components) (deepCopy (default dict .Values.components)) }}
{{- $hosts := $fixed.hosts }}
{{- range $name, $of := $set }}
{{- with $of.resources }}
{{- if and .cpu .cpuLimit }}
{{- if gt (include "platform.millis" .cpu | int64) (include "platform.millis" .cpuLimit | int64) }}
{{- fail (printf "components.%s.resources: cpuLimit %v is less than cpu %v" $name .cpuLimit .cpu) }}
{{- end }}
{{- end }}
{{- end }}
{{- with $of.executors }}
{{- if gt (int .min) (int .max) }}
{{- fail (printf "components.%s.executors: at least %v and at most %v" $name .min .max) }}
{{- end }}
{{- end }}
{{- with $of.host }}
{{- if has . $hosts }}
{{- fail (printf "components.%s.host: another component has the host %s too" $name .) }}
{{- end }}
{{- $hosts = append $hosts . }}
{{- end }}
{{- end }}
{{- $set | toJson }}
{{- end }}
