variable "name" {
  description = "Name of the role."
  type        = string
}

variable "function_arn" {
  description = "ARN of what S3 Batch Operations calls for each original: the function's alias."
  type        = string
}

variable "uploads_bucket_arn" {
  description = "ARN of the bucket of originals."
  type        = string
}

variable "reports_arn" {
  description = "ARN of the objects of the jobs' reports, such as `arn:aws:s3:::assets/reprocess/*`."
  type        = string
}
