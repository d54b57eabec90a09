"""Dagster's Helm chart, as far as our values go: which keys it knows, and what it makes of them.

Neither Helm nor the chart is here. Both tables were written down from the chart's schema and templates
(github.com/dagster-io/dagster, helm/dagster, of 1.13); what comes out of them is checked by Dagster's own code.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

VALUES_FILE = Path(__file__).parents[2] / "containers" / "kubernetes" / "values.yaml"
ANCHORS = "x-"
"""How the names of those parts begin that are only there to be repeated; the chart looks at none of them."""
RELEASE = "dagster"
"""What docs/kubernetes.md installs the chart as; its name is the chart's, so that nothing is named twice."""

Values = dict[str, Any]

_IMAGE = {"repository": ..., "tag": ..., "pullPolicy": ...}
_RESOURCES = {"requests": ..., "limits": ...}
_POD = {
    **dict.fromkeys(("env", "volumes", "volumeMounts", "annotations", "labels", "nodeSelector", "affinity")),
    **dict.fromkeys(("tolerations", "podSecurityContext", "securityContext", "schedulerName")),
    **dict.fromkeys(("livenessProbe", "readinessProbe", "startupProbe")),
    "image": _IMAGE,
    "envConfigMaps": [{"name": ..., "optional": ...}],
    "envSecrets": [{"name": ..., "optional": ...}],
    "resources": _RESOURCES,
}
_SYSTEM_POD = {
    **_POD,
    **dict.fromkeys(("deploymentLabels", "checkDbReadyInitContainer", "initContainerResources", "extraContainers")),
    **dict.fromkeys(("logFormat", "extraPrependedInitContainers")),
}
_THREADS = {"useThreads": ..., "numWorkers": ..., "numSubmitWorkers": ...}
KEYS: Values = {
    "global": dict.fromkeys(("postgresqlSecretName", "dagsterHome", "serviceAccountName", "celeryConfigSecretName")),
    "generatePostgresqlPasswordSecret": ...,
    "imagePullSecrets": [{"name": ...}],
    "postgresql": {
        **dict.fromkeys(("enabled", "postgresqlHost", "postgresqlUsername", "postgresqlPassword")),
        **dict.fromkeys(("postgresqlDatabase", "postgresqlParams", "postgresqlScheme")),
        "image": _IMAGE,
        "service": {"port": ...},
    },
    "dagster-user-deployments": {
        "enabled": ...,
        "enableSubchart": ...,
        "imagePullSecrets": [{"name": ...}],
        "deployments": [
            {
                **_POD,
                **dict.fromkeys(("name", "dagsterApiGrpcArgs", "codeServerArgs", "port", "initContainers")),
                **dict.fromkeys(("sidecarContainers", "deploymentStrategy")),
                "includeConfigInLaunchedRuns": {"enabled": ...},
                "service": {"annotations": ...},
            }
        ],
    },
    "runLauncher": {
        "type": ...,
        "config": {
            "k8sRunLauncher": {
                **dict.fromkeys(
                    ("imagePullPolicy", "jobNamespace", "loadInclusterConfig", "kubeconfigFile", "envVars")
                ),
                **dict.fromkeys(("volumes", "volumeMounts", "labels", "failPodOnRunFailure", "schedulerName")),
                "image": _IMAGE,
                "envConfigMaps": [{"name": ...}],
                "envSecrets": [{"name": ...}],
                "securityContext": ...,
                "resources": _RESOURCES,
                "runK8sConfig": dict.fromkeys(
                    ("containerConfig", "podSpecConfig", "podTemplateSpecMetadata", "jobSpecConfig", "jobMetadata")
                ),
            }
        },
    },
    "dagsterDaemon": {
        **_SYSTEM_POD,
        **dict.fromkeys(("enabled", "heartbeatTolerance")),
        "runCoordinator": {
            "enabled": ...,
            "type": ...,
            "config": {
                "queuedRunCoordinator": {
                    **dict.fromkeys(("maxConcurrentRuns", "dequeueIntervalSeconds", "dequeueUseThreads")),
                    **dict.fromkeys(("dequeueNumWorkers", "blockOpConcurrencyLimitedRuns")),
                    "tagConcurrencyLimits": [
                        {"key": ..., "value": {"applyLimitPerUniqueValue": ...}, "limit": ...},
                    ],
                }
            },
        },
        # Anything goes through the chart's schema here; these are what its template looks at.
        "runMonitoring": dict.fromkeys(
            ("enabled", "startTimeoutSeconds", "cancelTimeoutSeconds", "maxResumeRunAttempts", "pollIntervalSeconds")
        ),
        "runRetries": dict.fromkeys(("enabled", "maxRetries", "retryOnAssetOrOpFailure")),
        "sensors": _THREADS,
        "schedules": _THREADS,
        "backfills": _THREADS,
    },
    "dagsterWebserver": {
        **_SYSTEM_POD,
        **dict.fromkeys(("replicaCount", "nameOverride", "pathPrefix", "enableReadOnly", "dbStatementTimeout")),
        **dict.fromkeys(("dbPoolRecycle", "dbPoolMaxOverflow", "logLevel", "workspace")),
        "service": {"type": ..., "port": ..., "annotations": ...},
    },
    "computeLogManager": {"type": ..., "config": ...},
    "pythonLogs": dict.fromkeys(("pythonLogLevel", "dagsterHandlerConfig", "managedPythonLoggers")),
    "retention": {
        "enabled": ...,
        **dict.fromkeys(("schedule", "sensor", "autoMaterialize"), {"purgeAfterDays": ...}),
    },
    "telemetry": {"enabled": ...},
    "additionalInstanceConfig": ...,
}
"""The chart's keys in those of its sections that we use; below a leaf is what Kubernetes or Dagster takes."""


def values() -> Values:
    """Our values, without what is only there to be repeated."""
    read: Values = yaml.safe_load(VALUES_FILE.read_text())
    return {key: value for key, value in read.items() if not key.startswith(ANCHORS)}


def unknown_keys(given: object, known: object, path: str = "") -> Iterator[str]:
    """Where values have a key that the chart does not know."""
    if isinstance(known, Mapping) and isinstance(given, Mapping):
        for key, value in given.items():
            if key in known:
                yield from unknown_keys(value, known[key], f"{path}{key}.")
            else:
                yield f"{path}{key}"
    elif isinstance(known, list) and isinstance(given, list):
        for one in given:
            yield from unknown_keys(one, known[0], path)


def instance(given: Values) -> Values:
    """The dagster.yaml that the chart mounts into UI, daemon and runs."""
    daemon = given["dagsterDaemon"]
    queue, monitoring = daemon["runCoordinator"]["config"]["queuedRunCoordinator"], daemon["runMonitoring"]
    database = {"postgres_db": _postgres(given["postgresql"])}
    return {
        "scheduler": {"module": "dagster._core.scheduler", "class": "DagsterDaemonScheduler"},
        "run_storage": _class("dagster_postgres.run_storage", "PostgresRunStorage", database),
        "event_log_storage": _class("dagster_postgres.event_log", "PostgresEventLogStorage", database),
        "schedule_storage": _class("dagster_postgres.schedule_storage", "PostgresScheduleStorage", database),
        "run_launcher": _class("dagster_k8s", "K8sRunLauncher", launcher(given)),
        "run_coordinator": _class(
            "dagster._core.run_coordinator",
            "QueuedRunCoordinator",
            {
                "max_concurrent_runs": queue["maxConcurrentRuns"],
                "tag_concurrency_limits": queue["tagConcurrencyLimits"],
                "dequeue_use_threads": queue["dequeueUseThreads"],
                "dequeue_num_workers": queue["dequeueNumWorkers"],
            },
        ),
        "compute_logs": _class("dagster._core.storage.noop_compute_log_manager", "NoOpComputeLogManager", {}),
        "python_logs": {"dagster_handler_config": given["pythonLogs"]["dagsterHandlerConfig"]},
        "run_monitoring": {
            "enabled": monitoring["enabled"],
            "start_timeout_seconds": monitoring["startTimeoutSeconds"],
            "cancel_timeout_seconds": monitoring["cancelTimeoutSeconds"],
            "poll_interval_seconds": monitoring["pollIntervalSeconds"],
            "max_resume_run_attempts": 0,  # the chart's own, as the next one
            "free_slots_after_run_end_seconds": 0,
        },
        "run_retries": {
            "enabled": daemon["runRetries"]["enabled"],
            "max_retries": daemon["runRetries"]["maxRetries"],
            "retry_on_asset_or_op_failure": daemon["runRetries"]["retryOnAssetOrOpFailure"],
        },
        "retention": {
            kind: {"purge_after_days": given["retention"][kind]["purgeAfterDays"]} for kind in ("sensor", "schedule")
        },
        "telemetry": {"enabled": given["telemetry"]["enabled"]},
        **given["additionalInstanceConfig"],
    }


def launcher(given: Values) -> Values:
    """The configuration of the run launcher in it."""
    chosen = given["runLauncher"]["config"]["k8sRunLauncher"]
    raw = chosen["runK8sConfig"]
    return {
        "load_incluster_config": True,
        "job_namespace": "listing-prices",
        "image_pull_policy": chosen["imagePullPolicy"],
        "service_account_name": RELEASE,
        "dagster_home": "/opt/dagster/dagster_home",
        "instance_config_map": f"{RELEASE}-instance",
        "postgres_password_secret": given["global"]["postgresqlSecretName"],
        "env_secrets": [secret["name"] for secret in chosen["envSecrets"]],
        "volumes": chosen["volumes"],
        "volume_mounts": chosen["volumeMounts"],
        "resources": chosen["resources"],
        "fail_pod_on_run_failure": chosen["failPodOnRunFailure"],
        "security_context": chosen["securityContext"],
        "run_k8s_config": {
            "container_config": raw["containerConfig"],
            "pod_spec_config": raw["podSpecConfig"],
            "pod_template_spec_metadata": raw["podTemplateSpecMetadata"],
            "job_spec_config": raw["jobSpecConfig"],
        },
    }


def _postgres(given: Values) -> Values:
    return {
        "username": given["postgresqlUsername"],
        "password": {"env": "DAGSTER_PG_PASSWORD"},
        "hostname": given["postgresqlHost"],
        "db_name": given["postgresqlDatabase"],
        "port": given["service"]["port"],
        "params": given["postgresqlParams"],
        "scheme": given["postgresqlScheme"],
    }


def _class(module: str, name: str, config: Values) -> Values:
    return {"module": module, "class": name, "config": config}
