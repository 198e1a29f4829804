{{- define "mindglm.labels" -}}
app.kubernetes.io/name: mindglm
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{- define "mindglm.image" -}}
{{ .root.Values.image.registry }}{{ .image | default "mindglm-bot" }}:{{ .root.Values.image.tag }}
{{- end }}

{{- define "mindglm.shut" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "mindglm.pod" -}}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- end }}

{{- define "mindglm.environment" -}}
- {name: MINDGLM_DATABASE_URL, value: {{ .root.Values.database.url | quote }}}
- {name: MINDGLM_DATABASE_PASSWORD_FILE, value: /run/secrets/mindglm/database_password}
- {name: MINDGLM_BROKER_URL, value: {{ .root.Values.broker.url | quote }}}
- {name: MINDGLM_BROKER_PASSWORD_FILE, value: /run/secrets/mindglm/broker_password}
- {name: MINDGLM_SECRET_KEY_FILE, value: /run/secrets/mindglm/secret_key}
- {name: MINDGLM_METRICS_PORT, value: "9100"}
- {name: MINDGLM_METRICS_HOST, value: "0.0.0.0"}
- {name: MINDGLM_LOG_FORMAT, value: json}
{{- range $name, $value := .root.Values.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- range $name, $value := .environment | default dict }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{- define "mindglm.mounts" -}}
- {name: secrets, mountPath: /run/secrets/mindglm, readOnly: true}
- {name: home, mountPath: /var/lib/mindglm}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "mindglm.volumes" -}}
- {name: secrets, secret: {secretName: {{ .root.Values.secret }}, defaultMode: 0440}}
- {name: tmp, emptyDir: {sizeLimit: {{ .tmp | default "64Mi" }}}}
{{- end }}

{{- define "mindglm.probes" -}}
livenessProbe: {httpGet: {path: /healthz, port: metrics}, periodSeconds: 30, timeoutSeconds: 5, failureThreshold: 3}
readinessProbe: {httpGet: {path: /readyz, port: metrics}, periodSeconds: 10, timeoutSeconds: 5}
startupProbe: {httpGet: {path: /healthz, port: metrics}, periodSeconds: 5, failureThreshold: {{ .starts | default 60 }}}
{{- end }}
