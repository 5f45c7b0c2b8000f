"""What Spark does, run by the Python of `.tools/spark`, which has nothing of ours: weights in, factors of products out, as Parquet.

Arguments: a folder that every executor reaches, the session's settings and those of ALS, both as JSON. Read there:
`weights.parquet` (customer and product by position, weight); written: `factors` (id, features), a row per product with a weight.
"""

import json
import sys


def main(folder: str, session: str, als: str) -> None:
    """Factorise what lies in the folder, and leave there what was found."""
    from pyspark import SparkConf
    from pyspark.ml.recommendation import ALS
    from pyspark.sql import SparkSession

    conf = SparkConf().setAppName("lapwing als").setAll(json.loads(session).items())
    spark = SparkSession.builder.config(conf=conf).getOrCreate()
    model = ALS(
        userCol="customer", itemCol="product", ratingCol="weight", implicitPrefs=True, **json.loads(als)
    ).fit(spark.read.parquet(f"{folder}/weights.parquet"))
    model.itemFactors.write.parquet(f"{folder}/factors")
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
