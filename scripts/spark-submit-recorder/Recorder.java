import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpServer;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.client.ConfigBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.utils.Serialization;
import java.io.File;
import java.io.StringReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.apache.spark.SecurityManager;
import org.apache.spark.SparkConf;
import org.apache.spark.deploy.SparkSubmit;
import org.apache.spark.deploy.k8s.KubernetesConf;
import org.apache.spark.deploy.k8s.KubernetesExecutorConf;
import org.apache.spark.deploy.k8s.KubernetesExecutorSpec;
import org.apache.spark.resource.ResourceProfile;
import org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBuilder;
import scala.Option;
import scala.Some;

/**
 * Runs Spark's own submission code on many argument lists inside one JVM, against an API server that accepts and records
 * every object; then builds the pod of executor 1 from the recorded properties with Spark's own executor builder.
 *
 * Arguments: port, file with a JSON array of {name, args}, result file.
 */
public final class Recorder {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final List<ObjectNode> requests = new ArrayList<>();

  public static void main(String[] arguments) throws Exception {
    int port = Integer.parseInt(arguments[0]);
    HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 50);
    server.createContext("/", exchange -> {
      byte[] body = exchange.getRequestBody().readAllBytes();
      ObjectNode request = JSON.createObjectNode();
      request.put("method", exchange.getRequestMethod());
      request.put("path", exchange.getRequestURI().getPath());
      JsonNode answer = JSON.createObjectNode();
      if (body.length > 0) {
        answer = JSON.readTree(body);
        request.set("body", answer.deepCopy());
        if (answer.get("metadata") instanceof ObjectNode metadata) {
          metadata.put("uid", "00000000-0000-4000-8000-000000000001");
          metadata.put("namespace", "default");
          metadata.put("resourceVersion", "1");
        }
      }
      synchronized (requests) {
        requests.add(request);
      }
      byte[] reply = JSON.writeValueAsBytes(answer);
      exchange.getResponseHeaders().add("Content-Type", "application/json");
      exchange.sendResponseHeaders(exchange.getRequestMethod().equals("POST") ? 201 : 200, reply.length);
      exchange.getResponseBody().write(reply);
      exchange.close();
    });
    server.setExecutor(java.util.concurrent.Executors.newCachedThreadPool());
    server.start();

    ObjectNode results = JSON.createObjectNode();
    for (JsonNode testCase : JSON.readTree(new File(arguments[1]))) {
      results.set(testCase.get("name").asText(), record(testCase, port));
    }
    JSON.writerWithDefaultPrettyPrinter().writeValue(new File(arguments[2]), results);
    System.exit(0);
  }

  private static ObjectNode record(JsonNode testCase, int port) throws Exception {
    List<String> args = new ArrayList<>();
    testCase.get("args").forEach(arg -> args.add(arg.asText()));
    ObjectNode result = JSON.createObjectNode();
    synchronized (requests) {
      requests.clear();
    }
    try {
      new SparkSubmit().doSubmit(args.toArray(new String[0]));
    } catch (Throwable failure) {
      result.put("error", failure.toString());
    }
    ArrayNode objects = result.putArray("objects");
    String properties = null;
    synchronized (requests) {
      for (ObjectNode request : requests) {
        if (!request.has("body")) continue;
        ObjectNode body = (ObjectNode) request.get("body");
        objects.add(body);
        JsonNode text = body.path("data").path("spark.properties");
        if (!text.isMissingNode()) properties = text.asText();
      }
    }
    if (properties != null) {
      try {
        result.set("executor", executor(properties, args, port));
      } catch (Throwable failure) {
        result.put("executor_error", failure.toString());
      }
    }
    return result;
  }

  private static ArrayNode executor(String text, List<String> args, int port) throws Exception {
    Properties properties = new Properties();
    properties.load(new StringReader(text));
    SparkConf conf = new SparkConf(false);
    properties.stringPropertyNames().forEach(key -> conf.set(key, properties.getProperty(key)));
    // In the driver the template lies in a ConfigMap; here it is still where the user has it.
    for (String arg : args) {
      if (arg.startsWith("spark.kubernetes.executor.podTemplateFile=")) {
        conf.set("spark.kubernetes.executor.podTemplateFile", arg.substring(arg.indexOf('=') + 1));
      }
    }
    if (!conf.contains("spark.kubernetes.executor.podNamePrefix")) {
      conf.set("spark.kubernetes.executor.podNamePrefix", KubernetesConf.getResourceNamePrefix(conf.get("spark.app.name")));
    }
    // What the image's entrypoint and the running driver add before executors are asked for.
    conf.set("spark.driver.bindAddress", "10.1.2.3");
    conf.set("spark.executorEnv.SPARK_DRIVER_POD_IP", "10.1.2.3");
    conf.set("spark.executor.id", "driver");
    conf.set("spark.app.startTime", "0");
    for (String role : List.of("driver", "executor")) {
      String key = "spark." + role + ".extraJavaOptions";
      String options = "-Djava.net.preferIPv6Addresses=false " + org.apache.spark.launcher.JavaModuleOptions.defaultModuleOptions();
      conf.set(key, conf.contains(key) ? options + " " + conf.get(key) : options);
    }
    Pod driver = new PodBuilder().withNewMetadata()
        .withName(conf.get("spark.kubernetes.driver.pod.name"))
        .withUid("00000000-0000-4000-8000-000000000001").endMetadata().withNewStatus().withPodIP("10.1.2.3").endStatus().build();
    org.apache.spark.resource.ResourceProfile$.MODULE$.clearDefaultProfile();
    ResourceProfile profile = org.apache.spark.resource.ResourceProfile$.MODULE$.getOrCreateDefaultProfile(conf);
    KubernetesExecutorConf executorConf =
        new KubernetesExecutorConf(conf, conf.get("spark.app.id"), "1", new Some<>(driver), 0);
    try (KubernetesClient client = new KubernetesClientBuilder()
        .withConfig(new ConfigBuilder().withMasterUrl("http://127.0.0.1:" + port).withNamespace("default").build()).build()) {
      KubernetesExecutorSpec spec = new KubernetesExecutorBuilder().buildFromFeatures(
          executorConf, new SecurityManager(conf, Option.empty(), org.apache.spark.internal.config.package$.MODULE$.AUTH_SECRET_FILE()), client, profile);
      Pod pod = new PodBuilder(spec.pod().pod()).editOrNewSpec().addToContainers(spec.pod().container()).endSpec().build();
      ArrayNode objects = JSON.createArrayNode();
      objects.add(JSON.readTree(Serialization.asJson(pod)));
      var more = spec.executorKubernetesResources().iterator();
      while (more.hasNext()) objects.add(JSON.readTree(Serialization.asJson((HasMetadata) more.next())));
      return objects;
    }
  }
}
