// Compares pairs of versions as Maven does. Standard input: two versions a line, apart by a space. Standard output: the same with -1, 0 or 1.
// java -cp maven-artifact-3.9.11.jar Maven.java < pairs.txt > maven.txt
import java.io.BufferedReader;
import java.io.InputStreamReader;
import org.apache.maven.artifact.versioning.ComparableVersion;

class Maven {
    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        StringBuilder out = new StringBuilder();
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] pair = line.split(" ");
            int order = new ComparableVersion(pair[0]).compareTo(new ComparableVersion(pair[1]));
            out.append(line).append(' ').append(Integer.signum(order)).append('\n');
        }
        System.out.print(out);
    }
}
