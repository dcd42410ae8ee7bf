"""Every version that the infrastructure chooses, in one place."""

from typing import Final

KUBERNETES = "1.35"
"""In EKS' standard support until 2027-03-27 (endoflife.date/amazon-eks)."""

KAFKA = "3.9.x.kraft"
"""Of MSK; as AWS spells it."""

POSTGRES: Final = "17"
"""Of RDS, unless a stack chooses another. It gets fixes until 2029-11-08 (endoflife.date)."""

ARGO_CD_CHART = "10.1.1"
"""Argo CD 3.4.4; argocd/argo-cd.yaml sets the image of 3.4.15."""

ARGO_CD_REPOSITORY = "https://argoproj.github.io/argo-helm"
