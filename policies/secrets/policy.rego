# Secrets are in Secrets, not in manifests.
#
# Parameters, in data.parameters.secrets:
#   names: a regular expression for names of variables and keys of configuration that hold secrets
package starter.secrets

import data.lib.spark

default names := `(?i)(passw(or)?d|secret|credential|token|(private|secret|access|api)[._-]?key)$`

names := data.parameters.secrets.names

# What secrets look like, whatever they are called: keys of AWS and Google, tokens of GitHub, private keys.
shapes := [
	`^(AKIA|ASIA)[A-Z0-9]{16}$`,
	`^AIza[A-Za-z0-9_-]{35}$`,
	`^gh[pousr]_[A-Za-z0-9]{36}`,
	`-----BEGIN ([A-Z]+ )?PRIVATE KEY-----`,
]

looks_secret(name, value) if {
	regex.match(names, name)
	value != ""
	not reference(value)
}

looks_secret(_, value) if {
	some shape in shapes
	regex.match(shape, value)
}

# A value that only says where the secret is.
reference(value) if regex.match(`^(\$\{.+\}|\$\(.+\)|/.*|file:/.*|local:/.*)$`, value)

variables contains {"name": variable.name, "value": variable.value, "path": sprintf("%s.env[%d].value", [item.path, index])} if {
	some item in spark.containers
	some index, variable in item.container.env
	variable.value
}

variables contains {"name": variable.name, "value": variable.value, "path": sprintf("%s.env[%d].value", [role.path, index])} if {
	some role in spark.roles
	some index, variable in role.spec.env
	variable.value
}

variables contains {"name": name, "value": value, "path": sprintf("%s.envVars.%s", [role.path, name])} if {
	some role in spark.roles
	some name, value in role.spec.envVars
}

deny contains {"msg": msg, "path": variable.path} if {
	some variable in variables
	looks_secret(variable.name, variable.value)
	msg := sprintf("the variable %s holds a secret in plain text: take it from a Secret with secretKeyRef", [variable.name])
}

deny contains {"msg": msg, "path": spark.conf_path(key)} if {
	some key, value in spark.conf
	not regex.match(`\.secretKeyRef\.|^spark\.kubernetes\.(driver|executor)\.secrets\.`, key)
	looks_secret(key, value)
	msg := sprintf("%s holds a secret in plain text: give it by a Secret, or by a provider of credentials", [key])
}
