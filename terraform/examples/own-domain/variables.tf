variable "hosted_zone_name" {
  description = "Domain of the zone, as `hosted_zone_name` in the settings."
  type        = string
  default     = "example.com"
}
