package org.apache.spark.examples.sql;

import java.util.Arrays;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.RowFactory;

/** A table of people, asked in both ways: methods and SQL. */
final class SqlExample {
  private SqlExample() {}

  static void run(String name) {
    SparkSession spark = SparkSession.builder().appName(name).getOrCreate();
    StructType columns =
        new StructType().add("name", DataTypes.StringType).add("age", DataTypes.IntegerType).add("city", DataTypes.StringType);
    Dataset<Row> people =
        spark.createDataFrame(
            Arrays.asList(
                RowFactory.create("Ada", 36, "London"),
                RowFactory.create("Grace", 45, "New York"),
                RowFactory.create("Alan", 41, "London"),
                RowFactory.create("Emmy", 53, "Göttingen")),
            columns);
    people.printSchema();
    people.filter("age > 40").select("name", "age").show();
    people.createOrReplaceTempView("people");
    spark.sql("SELECT city, count(*) AS people, avg(age) AS age FROM people GROUP BY city ORDER BY city").show();
    spark.stop();
  }
}
