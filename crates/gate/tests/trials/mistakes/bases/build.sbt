name := "sales"
scalaVersion := "2.13.17"

val sparkVersion = "4.1.4"

libraryDependencies ++= Seq(
  "org.apache.spark" %% "spark-sql" % sparkVersion % "provided",
  "org.postgresql" % "postgresql" % "42.7.4"
)
