{{/* The chart's part of object names. */}}
{{- define "prism-queue.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of every object: the release's name, with the chart's unless it is in there already. */}}
{{- define "prism-queue.fullname" -}}
{{- $name := include "prism-queue.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "prism-queue.selectorLabels" -}}
app.kubernetes.io/name: {{ include "prism-queue.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "prism-queue.labels" -}}
{{ include "prism-queue.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "prism-queue.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "prism-queue.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "prism-queue.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "prism-queue.leaseNamespace" -}}
{{- default .Release.Namespace .Values.leaderElection.namespace }}
{{- end }}

{{/* Where the API server finds the admission webhook. The name is part of a DNS name, which takes 63 characters. */}}
{{- define "prism-queue.webhookService" -}}
{{- printf "%s-webhook" (include "prism-queue.fullname" . | trunc 55 | trimSuffix "-") }}
{{- end }}

{{/* The Secret with the webhook's certificate, where another than the operator makes it. */}}
{{- define "prism-queue.webhookSecret" -}}
{{- if eq .Values.injection.certificates.source "CertManager" }}
{{- printf "%s-certificate" (include "prism-queue.webhookService" .) }}
{{- else }}
{{- .Values.injection.certificates.secretName }}
{{- end }}
{{- end }}

{{/*
What values.schema.json cannot say, or not in words that help. All of it at once.
*/}}
{{- define "prism-queue.validate" -}}
{{- $errors := list }}
{{- if not .Values.clusterName }}
{{- $errors = append $errors "clusterName is required: a name for this cluster that no other cluster with access to the same AWS account has, and that never changes (--set clusterName=prod-1)" }}
{{- end }}
{{- if not .Values.image.repository }}
{{- $errors = append $errors "image.repository is required: the image, without tag, that you built from the Dockerfile and pushed (--set image.repository=…)" }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) (not .Values.leaderElection.enabled) }}
{{- $errors = append $errors "replicas: more than one needs leaderElection.enabled=true, because only one process may write" }}
{{- end }}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) }}
{{- $errors = append $errors "serviceAccount.name is required with serviceAccount.create=false: the ServiceAccount that the operator runs as" }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.service.enabled) }}
{{- $errors = append $errors "metrics.serviceMonitor.enabled=true needs metrics.service.enabled=true: a ServiceMonitor selects a Service" }}
{{- end }}
{{- if and .Values.injection.enabled (eq .Values.injection.certificates.source "Secret") }}
{{- if not .Values.injection.certificates.secretName }}
{{- $errors = append $errors "injection.certificates.secretName is required with source=Secret: a Secret of type kubernetes.io/tls in the release's namespace" }}
{{- end }}
{{- if not .Values.injection.certificates.caBundle }}
{{- $errors = append $errors "injection.certificates.caBundle is required with source=Secret: the certificates, as PEM, by which the API server knows the webhook" }}
{{- end }}
{{- end }}
{{- if $errors }}
{{- fail (printf "\n- %s" (join "\n- " $errors)) }}
{{- end }}
{{- end }}

{{/* The operator's command line. What is empty is left out, so that the operator's own default counts. */}}
{{- define "prism-queue.args" -}}
- controller
- {{ printf "--cluster-name=%s" .Values.clusterName | quote }}
{{- with .Values.previousClusterUid }}
- {{ printf "--previous-cluster-uid=%s" . | quote }}
{{- end }}
{{- with .Values.namePrefix }}
- {{ printf "--name-prefix=%s" . | quote }}
{{- end }}
{{- with .Values.aws.region }}
- {{ printf "--region=%s" . | quote }}
{{- end }}
{{- with .Values.aws.endpointUrl }}
- {{ printf "--endpoint-url=%s" . | quote }}
{{- end }}
{{- if .Values.aws.allowInsecureEndpoints }}
- --allow-insecure-endpoints
{{- end }}
- --resync={{ .Values.resync }}
- --empty-for={{ .Values.emptyFor }}
- --concurrency={{ int .Values.concurrency }}
{{- if .Values.allowUnsafeStatements }}
- --allow-unsafe-statements
{{- end }}
- --leader-elect={{ .Values.leaderElection.enabled }}
{{- if .Values.leaderElection.enabled }}
- --leader-election-namespace={{ include "prism-queue.leaseNamespace" . }}
{{- end }}
- {{ printf "--http-address=%s:%d" .Values.http.host (int .Values.http.port) | quote }}
{{- if .Values.injection.enabled }}
- {{ printf "--webhook-address=%s:%d" .Values.http.host (int .Values.injection.port) | quote }}
{{- if eq .Values.injection.certificates.source "Operator" }}
- --webhook-host={{ include "prism-queue.webhookService" . }}.{{ .Release.Namespace }}.svc
{{- else }}
- --webhook-certificate-dir=/etc/prism-queue/webhook
{{- end }}
{{- end }}
- --log-format={{ .Values.log.format }}
- {{ printf "--log-filter=%s" .Values.log.filter | quote }}
{{- end }}
