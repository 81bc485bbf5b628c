// Runs a declarative Jenkinsfile as Jenkins reads it: Groovy itself parses it, a directive that does not belong where it stands is an error, `sh` runs.
// Arguments: the file. The environment has BRANCH_IS_PRIMARY as a multibranch pipeline sets it, and CREDENTIAL_<id> for each credential.
import groovy.transform.Field

@Field Map<String, String> variables = [:]
@Field List<String> reports = []

class Refused extends RuntimeException { Refused(String why) { super(why) } }

/** What may stand in a block, and what it does. */
class Block {
    String name
    Map<String, Closure> allowed = [:]
    Map<String, Integer> seen = [:]
    Closure assign
    def invokeMethod(String word, Object arguments) {
        def known = allowed[word]
        if (known == null) throw new Refused("`${word}` may not stand in `${name}`")
        seen[word] = (seen[word] ?: 0) + 1
        known(*(arguments as List))
    }
    def getProperty(String word) {
        if (word in ['name', 'allowed', 'seen', 'assign']) return this.@"$word"
        throw new Refused("`${word}` is not known in `${name}`")
    }
    void setProperty(String word, Object value) {
        if (word in ['name', 'allowed', 'seen', 'assign']) { this.@"$word" = value; return }
        if (!this.@assign) throw new Refused("`${word} = ` may not stand in `${this.@name}`")
        this.@assign(word, value)
    }
}

Block inside(String name, Map<String, Closure> allowed, Closure body, Closure assign = null) {
    def block = new Block()
    block.name = name; block.allowed = allowed; block.assign = assign
    body.delegate = block
    body.resolveStrategy = Closure.DELEGATE_ONLY
    body.call()
    block
}

void one(Block block, String word) {
    if (block.seen[word] != 1) throw new Refused("`${block.name}` needs one `${word}`")
}

def text = { value -> if (!(value instanceof String)) throw new Refused("${value} is not a text"); value }

void shell(String script) {
    def builder = new ProcessBuilder('sh', '-xe', '-c', script).inheritIO()
    builder.environment().putAll(variables)
    int code = builder.start().waitFor()
    if (code != 0) throw new RuntimeException("script returned exit code ${code}")
}

Map<String, Closure> steps() {
    [
        sh: { String script -> shell(script) },
        echo: { String words -> println words },
        junit: { Map given ->
            def unknown = given.keySet() - ['testResults', 'allowEmptyResults', 'skipPublishingChecks']
            if (unknown) throw new Refused("junit has no ${unknown}")
            if (!new File(given.testResults).exists() && !given.allowEmptyResults) throw new RuntimeException("no report ${given.testResults}")
            if (new File(given.testResults).exists()) reports << given.testResults
        },
    ]
}

void environment(Closure body) {
    def allowed = [credentials: { String id ->
        def value = System.getenv('CREDENTIAL_' + id.replace('-', '_'))
        if (value == null) throw new RuntimeException("there is no credential ${id}")
        value
    }]
    inside('environment', allowed, body) { word, value -> variables[word] = value as String }
}

void stage(String name, Closure body) {
    boolean runs = true
    def work = null, after = [:]
    def block = inside("stage('${name}')", [
        agent: { Closure it -> inside('agent', [label: text], it) },
        when: { Closure it ->
            inside('when', [
                environment: { Map given -> runs &= System.getenv(given.name) == given.value },
                branch: { String branch -> runs &= System.getenv('BRANCH_NAME') == branch },
            ], it)
        },
        environment: { Closure it -> work = [it, work] },
        options: { Closure it -> inside('options', [timeout: { Map m -> }], it) },
        steps: { Closure it -> after.steps = it },
        post: { Closure it -> inside('post', [always: { Closure always -> after.always = always }], it) },
    ], body)
    one(block, 'steps')
    println "== ${name}${runs ? '' : ' skipped'}"
    if (!runs) return
    if (work) environment(work[0])
    try {
        def done = inside('steps', steps(), after.steps)
        if (!done.seen) throw new Refused("`steps` of `${name}` are empty")
    } finally {
        if (after.always) inside('always', steps(), after.always)
    }
}

def pipeline = { Closure body ->
    def stages = null
    def block = inside('pipeline', [
        agent: { Closure it -> one(inside('agent', [label: text], it), 'label') },
        options: { Closure it -> inside('options', [
            disableConcurrentBuilds: { -> },
            timeout: { Map given ->
                if (!(given.time instanceof Integer) || !(given.unit in ['SECONDS', 'MINUTES', 'HOURS'])) throw new Refused("timeout: ${given}")
            },
        ], it) },
        environment: { Closure it -> environment(it) },
        stages: { Closure it -> stages = it },
    ], body)
    one(block, 'agent')
    one(block, 'stages')
    def made = inside('stages', [stage: { String name, Closure it -> stage(name, it) }], stages)
    if (!made.seen) throw new Refused('`stages` are empty')
    println "reports: ${reports.join(' ')}"
}

try {
    def binding = new Binding()
    binding.setVariable('pipeline', pipeline)
    new GroovyShell(binding).evaluate(new File(args[0]))
} catch (Refused | org.codehaus.groovy.control.CompilationFailedException refused) {
    println "refused: ${refused.message}"
    System.exit(2)
} catch (RuntimeException failed) {
    println "failed: ${failed.message}"
    System.exit(1)
}
