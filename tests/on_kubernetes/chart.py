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


def _section(*leaves: str, **below: Any) -> Values:
    return {**dict.fromkeys(leaves), **below}


_IMAGE = _section("repository", "tag", "pullPolicy")
_RESOURCES = _section("requests", "limits")
_SOURCE = [_section("name", "optional")]
_POD = _section(
    *("env", "volumes", "volumeMounts", "annotations", "labels", "nodeSelector", "affinity", "tolerations"),
    *("podSecurityContext", "securityContext", "schedulerName", "livenessProbe", "readinessProbe", "startupProbe"),
    image=_IMAGE,
    envConfigMaps=_SOURCE,
    envSecrets=_SOURCE,
    resources=_RESOURCES,
)
_SYSTEM_POD = _POD | _section(
    *("deploymentLabels", "checkDbReadyInitContainer", "initContainerResources", "extraContainers"),
    *("extraPrependedInitContainers", "logFormat"),
)
_THREADS = _section("useThreads", "numWorkers", "numSubmitWorkers")
_QUEUE = _section(
    *("maxConcurrentRuns", "dequeueIntervalSeconds", "dequeueUseThreads", "dequeueNumWorkers"),
    "blockOpConcurrencyLimitedRuns",
    tagConcurrencyLimits=[_section("key", "limit", value=_section("applyLimitPerUniqueValue"))],
)
_LAUNCHER = _section(
    *("imagePullPolicy", "jobNamespace", "loadInclusterConfig", "kubeconfigFile", "envVars", "volumes", "volumeMounts"),
    *("labels", "failPodOnRunFailure", "schedulerName", "securityContext"),
    image=_IMAGE,
    envConfigMaps=_SOURCE,
    envSecrets=_SOURCE,
    resources=_RESOURCES,
    runK8sConfig=_section(
        *("containerConfig", "podSpecConfig", "podTemplateSpecMetadata", "jobSpecConfig", "jobMetadata")
    ),
)
_DEPLOYMENT = _POD | _section(
    *("name", "dagsterApiGrpcArgs", "codeServerArgs", "port", "initContainers", "sidecarContainers"),
    "deploymentStrategy",
    includeConfigInLaunchedRuns=_section("enabled"),
    service=_section("annotations"),
)
_KEPT = _section("purgeAfterDays")
KEYS: Values = {
    "global": _section("postgresqlSecretName", "dagsterHome", "serviceAccountName", "celeryConfigSecretName"),
    "generatePostgresqlPasswordSecret": None,
    "imagePullSecrets": [_section("name")],
    "postgresql": _section(
        *("enabled", "postgresqlHost", "postgresqlUsername", "postgresqlPassword", "postgresqlDatabase"),
        *("postgresqlParams", "postgresqlScheme"),
        image=_IMAGE,
        service=_section("port"),
    ),
    "dagster-user-deployments": _section("enabled", "enableSubchart", "imagePullSecrets", deployments=[_DEPLOYMENT]),
    "runLauncher": _section("type", config=_section(k8sRunLauncher=_LAUNCHER)),
    "dagsterDaemon": _SYSTEM_POD
    | _section(
        *("enabled", "heartbeatTolerance"),
        runCoordinator=_section("enabled", "type", config=_section(queuedRunCoordinator=_QUEUE)),
        # The chart's schema lets anything pass here; these are what its template looks at.
        runMonitoring=_section(
            *("enabled", "startTimeoutSeconds", "cancelTimeoutSeconds", "maxResumeRunAttempts"),
            *("pollIntervalSeconds", "freeSlotsAfterRunEndSeconds"),
        ),
        runRetries=_section("enabled", "maxRetries", "retryOnAssetOrOpFailure"),
        sensors=_THREADS,
        schedules=_THREADS,
        backfills=_THREADS,
    ),
    "dagsterWebserver": _SYSTEM_POD
    | _section(
        *("replicaCount", "nameOverride", "pathPrefix", "enableReadOnly", "dbStatementTimeout", "dbPoolRecycle"),
        *("dbPoolMaxOverflow", "logLevel", "workspace"),
        service=_section("type", "port", "annotations"),
    ),
    "computeLogManager": _section(
        "type", config=_section(customComputeLogManager=_section("module", "class", "config"))
    ),
    "pythonLogs": _section("pythonLogLevel", "dagsterHandlerConfig", "managedPythonLoggers"),
    "retention": _section("enabled", schedule=_KEPT, sensor=_KEPT, autoMaterialize=_KEPT),
    "telemetry": _section("enabled"),
    "additionalInstanceConfig": None,
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
        "compute_logs": given["computeLogManager"]["config"]["customComputeLogManager"],
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
