"""Staff users' and groups' rights on tenants. The two tables are guardian's kind with a real foreign key; tenants.access reads and writes them."""

from django.db import models
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from tenants.models.directory import Tenant


class TenantUserGrant(UserObjectPermissionBase):
    """One right of one user on one tenant."""

    content_object = models.ForeignKey(Tenant, on_delete=models.CASCADE)

    class Meta(UserObjectPermissionBase.Meta):
        indexes = [models.Index(fields=["content_object", "user"], name="user_grant_by_tenant")]
        verbose_name, verbose_name_plural = "right of a user", "rights of users"

    def __str__(self) -> str:
        return f"{self.user}: {self.permission.codename} {self.content_object}"


class TenantGroupGrant(GroupObjectPermissionBase):
    """One right of every member of one group on one tenant."""

    content_object = models.ForeignKey(Tenant, on_delete=models.CASCADE)

    class Meta(GroupObjectPermissionBase.Meta):
        indexes = [models.Index(fields=["content_object", "group"], name="group_grant_by_tenant")]
        verbose_name, verbose_name_plural = "right of a group", "rights of groups"

    def __str__(self) -> str:
        return f"{self.group}: {self.permission.codename} {self.content_object}"
