# Every command of the project. `make` lists them; each sets up what it needs first.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

python := .venv/bin/python

.PHONY: help setup demo up test test-crash test-crash-send test-crash-publish test-signatures test-servers test-crash-worker test-histories test-bad-rows test-bounces test-replies test-spark test-hostile-facts check-mails gallery bench-features bench-plan bench-render bench-send bench-send-memory bench-churn bench-churn-profit bench-churn-oracle bench-churn-scale bench-recommend bench-recommend-speed bench-recommend-elsewhere bench-sentiment check lock screenshots clean

help: ## list these commands
	@printf 'Lapwing. Commands:\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: ## make .venv from the locked, hashed requirements, and .env with fresh secrets (quick when nothing changed)
	@scripts/setup.sh

demo: setup ## run a campaign day on real purchases, through Airflow, into the local inbox; says where to look
	@bin/lapwing demo

up: setup ## start Airflow, MLflow, tracking, console and local inbox on this machine; Ctrl-C stops them all
	@bin/lapwing up

test: setup ## install what the tests need (system-packages.txt), then run all of them
	@scripts/system_packages.sh
	@scripts/setup.sh peers
	@scripts/setup.sh exim
	@$(python) -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 12 --durations-min 10

test-crash: setup ## kill the whole demo at 12 random moments and while it sends; run it again; compare (an hour)
	@TEST_KILLS=12 $(python) -m pytest tests/journeys/crash.py

test-crash-send: setup ## kill senders 200 times while 4 send 100,000 mails from PostgreSQL, and 1 from SQLite (half an hour)
	@TEST_MAILS=100000 TEST_KILLS=200 TEST_INTERLEAVINGS=10000 $(python) -m pytest tests/faults/test_killed_sender.py \
		tests/faults/test_interleavings.py

test-crash-worker: setup ## kill the worker of the task that sends 50 times; run it twice, clear it, backfill it (half an hour)
	@TEST_KILLS=50 $(python) -m pytest tests/journeys/killed_worker.py

test-crash-publish: setup ## kill 100 runs of build and publish at random moments while somebody reads (half an hour)
	@TEST_KILLS=100 $(python) -m pytest tests/faults/test_killed_publish.py

test-signatures: setup ## sign 1,000 mails; dkimpy and Perl's Mail::DKIM accept each, and none that was changed (half a minute)
	@scripts/system_packages.sh
	@TEST_MAILS=1000 $(python) -m pytest tests/campaigns/test_dkim.py

test-servers: setup ## send 10,000 mails to Postfix, Exim and smtp-sink each; every one arrives once, unchanged (minutes)
	@scripts/system_packages.sh
	@scripts/setup.sh exim
	@TEST_MAILS=10000 $(python) -m pytest tests/faults/test_real_servers.py

test-histories: setup ## check the features' laws on 2,000 made-up histories (ten minutes)
	@TEST_HISTORIES=2000 $(python) -m pytest tests/dbt_project/test_histories.py

test-bad-rows: setup ## mix 40,000 bad rows of 40 kinds into 1,000,000 good ones; every one must be found (minutes)
	@TEST_BAD_ROWS=1000 $(python) -m pytest tests/faults/test_bad_rows.py

test-hostile-facts: setup ## fill every mail with 100,000 hostile values; none may act, reach a header, leak or state what is no fact (minutes)
	@TEST_FACTS=100000 $(python) -m pytest tests/campaigns/test_hostile_facts.py

check-mails: setup ## look at every mail in every language for every customer: size, facts, contrast, overflow, spam score (minutes)
	@scripts/system_packages.sh
	@TEST_EVERY_MAIL=1 $(python) -m pytest tests/campaigns/test_every_mail.py

test-bounces: setup ## read 100,000 mutilated bounces, none may stop the reader; take 10,000 forged ones, none may suppress (minutes)
	@scripts/setup.sh peers
	@TEST_MUTATIONS=100000 TEST_FORGERIES=10000 $(python) -m pytest tests/campaigns/test_bounce_samples.py \
		tests/campaigns/test_bounce_intake.py

test-replies: setup ## read 10,000 mutilated replies, none may stop the reader; take 10,000 forged ones, none may stop mail (minutes)
	@TEST_REPLIES=10000 TEST_FORGERIES=10000 $(python) -m pytest tests/campaigns/test_replies.py \
		tests/campaigns/test_reply_intake.py

test-spark: setup ## install Java (system-packages-spark.txt) and Spark (500 MB), then try the recommender that runs on it (minutes)
	@scripts/system_packages.sh system-packages-spark.txt
	@scripts/setup.sh spark
	@$(python) -m pytest tests/spark

bench-features: setup ## features of 50 million order lines against polars; appends to benchmarks/RESULTS.md (half an hour)
	@PYTHONPATH=. $(python) -m benchmarks.features

bench-send: setup ## mails a second through the ledger, against Postfix's client and nodemailer; appends to benchmarks/RESULTS.md (minutes)
	@scripts/system_packages.sh
	@PYTHONPATH=. $(python) -m benchmarks.send

bench-send-memory: setup ## a sender's memory over a million mails; appends to benchmarks/RESULTS.md (ten minutes)
	@scripts/system_packages.sh
	@PYTHONPATH=. $(python) -m benchmarks.send --step memory

bench-churn: setup ## churn models on Complete Journey, cut-off by cut-off; appends to benchmarks/RESULTS.md (minutes)
	@PYTHONPATH=. $(python) -m benchmarks.churn

bench-churn-profit: setup ## whom to treat by money, on 100 draws of simulated shops; appends to benchmarks/RESULTS.md (minutes)
	@PYTHONPATH=. $(python) -m benchmarks.churn_profit

bench-churn-oracle: setup ## churn models beside the best possible, on a simulated shop; appends to benchmarks/RESULTS.md (minutes)
	@PYTHONPATH=. $(python) -m benchmarks.churn_oracle

bench-churn-scale: setup ## train and score churn for a million simulated customers; appends to benchmarks/RESULTS.md (half an hour)
	@PYTHONPATH=. $(python) -m benchmarks.churn_scale

bench-recommend: setup ## recommenders on Complete Journey, cut-off by cut-off; appends to benchmarks/RESULTS.md (minutes)
	@PYTHONPATH=. $(python) -m benchmarks.recommend

bench-recommend-speed: setup ## recommenders against implicit, 200,000 simulated customers; appends to benchmarks/RESULTS.md (half an hour)
	@PYTHONPATH=. $(python) -m benchmarks.recommend_speed

bench-recommend-elsewhere: setup ## recommenders on MovieLens and on sequences; appends to benchmarks/RESULTS.md (minutes)
	@scripts/setup.sh peers
	@PYTHONPATH=. $(python) -m benchmarks.recommend_elsewhere

bench-plan: setup ## the plan of a day for a million customers and 15 campaigns; appends to benchmarks/RESULTS.md (minutes)
	@PYTHONPATH=. $(python) -m benchmarks.plan

bench-sentiment: setup ## sentiment of reviews in English and Chinese, beside VADER; appends to benchmarks/RESULTS.md (two minutes)
	@PYTHONPATH=. $(python) -m benchmarks.sentiment

bench-render: setup ## mails a second from plan rows, beside Jinja and the email package; appends to benchmarks/RESULTS.md (minutes)
	@PYTHONPATH=. $(python) -m benchmarks.render

check: setup ## lint, type-check, and compare code, docs and settings with each other
	@$(python) -m ruff check
	@$(python) -m ruff format --check
	@$(python) -m mypy
	@$(python) -m sqlfluff lint dbt_project/models
	@$(python) -m pytest tests/arch tests/docs

lock: ## resolve requirements.in, requirements-peers.in and requirements-spark.in into .txt files, with hashes, for Python 3.11 to 3.13
	@scripts/setup.sh tools
	@for name in requirements requirements-peers requirements-spark; do \
		.tools/bin/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
			$$name.in --output-file $$name.txt; \
	done

screenshots: setup ## take the pictures in docs/ anew (needs chromium)
	@scripts/system_packages.sh
	@PYTHONPATH=. $(python) scripts/screenshots.py

gallery: setup ## every mail in every language in one picture, docs/img/gallery.webp (needs chromium)
	@scripts/system_packages.sh
	@$(python) -m scripts.gallery

clean: ## remove data/: warehouse, published tables, inbox, ledger, Airflow's and MLflow's stores
	@rm -rf data
