//! Room `platform`: the components around Spark, presets by workload, and job directories that start right.
